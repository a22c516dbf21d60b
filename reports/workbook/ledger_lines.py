"""Every dollar of the fleet's year in one bucket (docs/economics.md, The ledger)."""

from reports.workbook.cost_lines import SECONDS
from reports.workbook.lines import CENTS, PAID, RATE, SHARE, Line, answers_usd, for_all, maybe, tokens_usd

METHODS = {"price_ratio": "split by price ratio", "processor_sharing": "split by measured time"}
CLASSES = ("failed", "missed", "good")
_BILLS = "(failed_bill+missed_bill+good_prompt_bill+good_answer_bill)"
_ASKED, _NA = "IF(COUNT(mean_rps)=1, mean_rps, peak_rps)", '"n/a"'
_SERVERS = ("own", "server")


def _billed(bill: str) -> str:
    return f"IF({_BILLS}=0, {_NA}, {bill}/{_BILLS})"


def _bill(name: str, label: str, formula: str, tokens: str) -> Line:
    return Line(name, label, "currency", formula, CENTS, optional=maybe(tokens))


WORK = (
    Line("ledger_rps", "Served over the year", "requests/s",
         for_all(PAID, f"IF(COUNT(fleet_year)=1, MIN({_ASKED}, plan_instances*plan_rps*uptime), {_NA})",
                 api=f"IF(COUNT(request_usd)=1, {_ASKED}, {_NA})"),
         RATE, ("cost_ledger", "served_rps", "", "price_ratio"), ("mean_rps", "fleet_year", "request_usd")),
    Line("ledger_year", "The fleet for a year", "currency",
         for_all(PAID, "fleet_year", api=f"request_usd*ledger_rps*{SECONDS}"), CENTS,
         ("cost_ledger", "fleet_year_usd", "", "price_ratio"), is_total=True),
    Line("instance_year", "One instance of it", "currency",
         for_all(PAID, "ledger_year/plan_instances",
                 **dict.fromkeys(_SERVERS, "ledger_year*gpus_per_instance/(priced_units*plan_gpus_per_server)")), CENTS),
    Line("asked_for", "What instances for the peak serve, of their year", "currency",
         for_all(PAID, "IF(plan_instances_for_peak=0, 0, plan_instances_for_peak*instance_year"
                       "*MIN(1, ledger_rps/(plan_instances_for_peak*plan_rps)))", api="ledger_year"), CENTS),
    Line("working", "Of that, with a request in flight", "currency",
         for_all(PAID, "asked_for*(1-idle_share)", api="asked_for"), CENTS),
    _bill("failed_bill", "Failed requests of the window at list prices, x 1M",
          f"{tokens_usd('failed')} + {answers_usd('failed')}", "failed"),
    _bill("missed_bill", "Those that miss the SLO", f"{tokens_usd('missed')} + {answers_usd('missed')}", "missed"),
    _bill("good_prompt_bill", "Input of the good ones", tokens_usd("good"), "good"),
    _bill("good_answer_bill", "Output of the good ones", answers_usd("good"), "good"),
    Line("x_failed", "Share of failed requests", "of the work",
         for_all(PAID, "failed_share", api=_billed("failed_bill")), SHARE),
    Line("x_missed", "Share of requests that miss the SLO", "of the work",
         for_all(PAID, "missed_share", api=_billed("missed_bill")), SHARE),
    Line("good_usd", "Left for good requests", "currency", "working*(1-x_failed-x_missed)", CENTS),
    Line("cached_part", "Cached part of the input's cost", "of the input",
         f"IF(COUNT(price_cached)=0, IF(good_input_tokens=0, {_NA}, good_cached_tokens/good_input_tokens),"
         f" IF(COUNT(good_prompt_bill)=0, {_NA}, IF(good_prompt_bill=0, {_NA},"
         " good_cached_tokens*price_cached/good_prompt_bill)))", SHARE, optional=("price_cached", "good_prompt_bill")),
)  # fmt: skip

_FLEET_BUCKETS = (
    ("stranded", "Stranded: places in servers that no instance uses",
     "ledger_year-plan_instances*instance_year", ()),
    ("spare", "Spare instances", "plan_spares*instance_year", ()),
    ("headroom", "Headroom above the peak",
     "(plan_instances-plan_spares-plan_instances_for_peak)*instance_year", ()),
    ("idle", "Idle: below the peak, downtime, rounding up",
     "plan_instances_for_peak*instance_year-IF(COUNT(working)=1, working, asked_for)", ("working",)),
)  # fmt: skip


def ledger_lines(method: str) -> tuple[Line, ...]:
    """The buckets by one allocation method, then their sum and the check."""
    tail = "" if method == "price_ratio" else "_by_time"
    kinds = (*PAID, "api") if method == "price_ratio" else PAID
    prompt = "good_prompt_bill/(good_prompt_bill+good_answer_bill)" if method == "price_ratio" else "input_share"
    answer = "good_answer_bill/(good_prompt_bill+good_answer_bill)" if method == "price_ratio" else "output_share"
    # without a price of their own cached tokens need no count: input then holds both
    split = 'IF(COUNT(cached_part)=1, {}, IF(COUNT(price_cached)=0, {}, "n/a"))'
    good_in, good_out = f"good_usd*{prompt}", f"good_usd*{answer}"
    fresh, answers = split.format(f"{good_in}*(1-cached_part)", good_in), split.format(good_out, good_out)
    lines = [
        _bucket(name, label, for_all(PAID, formula, **({"api": "0"} if "api" in kinds else {})), tail, method, maybe_)
        for name, label, formula, maybe_ in _FLEET_BUCKETS
    ]
    shares = (
        ("failed", "Failed requests", "working*x_failed", ()),
        ("slo_missed", "Requests that miss the SLO", "working*x_missed", ()),
        ("input", "Input of good requests", f"IF(good_usd=0, 0, {fresh})", ("cached_part", "price_cached")),
        ("cached_input", "Cached input of good requests", f"IF(good_usd=0, 0, {good_in}*cached_part)", ()),
        ("output", "Output of good requests", f"IF(good_usd=0, 0, {answers})", ("cached_part", "price_cached")),
    )  # fmt: skip
    lines += [
        _bucket(name, label, for_all(kinds, formula), tail, method, maybe_) for name, label, formula, maybe_ in shares
    ]
    unknown = (
        f"IF(COUNT(good_usd)=0, IF(COUNT(working)=1, working, asked_for), IF(COUNT(bucket_input{tail})=0, good_usd, 0))"
    )
    optional = ("good_usd", "working", f"bucket_input{tail}")
    lines.append(_bucket("unallocated", "Not known which", for_all(kinds, unknown), tail, method, optional))
    return tuple(lines)


def _bucket(name: str, label: str, formula: dict[str, str], tail: str, method: str, optional: tuple[str, ...]) -> Line:
    source = ("cost_ledger", "usd", name, method)
    return Line(f"bucket_{name}{tail}", label, "currency", formula, CENTS, source, optional, needs=("ledger_year",))
