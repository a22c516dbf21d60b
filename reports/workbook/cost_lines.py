"""What the fleet costs under a plan (docs/economics.md: Own, rent, or buy tokens; Three costs; Input and output prices)."""

from reports.workbook.formulas import ceiling
from reports.workbook.lines import (
    CENTS,
    COUNT,
    MONEY,
    PAID,
    RATE,
    TINY,
    Line,
    answers_usd,
    for_all,
    housed,
    in_a_server,
    maybe,
    tokens_usd,
)

HOURS, SECONDS = "8760", "31536000"
BASES = {
    "capacity": "Cost when every server is full (capacity)",
    "slo": "Cost of good requests when every server is full (slo)",
    "demand": "Cost at the mean rate (demand)",
}
_SERVERS = ("own", "server")
_OWN_YEAR = (
    "(server_price-salvage)/depreciation_years + hosting_year"
    ' + software_year*IF(licence_basis="per_gpu", plan_gpus_per_server, 1)'
    f" + power_kw*pue*{HOURS}*usd_per_kwh + staff_year + other_year"
)


def _offer(column: str) -> tuple[str, str]:
    return ("sized_offers", column)


UNITS = (
    Line("server_year", "One server for a year", "currency",
         {"own": _OWN_YEAR, "server": f"usd_per_hour*{HOURS}"}, CENTS, _offer("server_year_usd"), ("licence_basis",)),
    Line("unit_year", "One of what is paid for, a year", "currency",
         for_all(_SERVERS, "server_year", gpu=f"gpus_per_instance*usd_per_hour*{HOURS}", unit=f"usd_per_hour*{HOURS}"),
         CENTS, _offer("unit_year_usd")),
    Line("instances_per_unit", "Instances in one of it", "instances",
         for_all(_SERVERS, in_a_server("plan_gpus_per_server"), gpu="1", unit="1"), "0.####",
         _offer("instances_per_unit")),
    Line("prompt_list_usd", "Input of 1M requests at list prices", "currency", tokens_usd(""), CENTS,
         optional=maybe("")),
    Line("answer_list_usd", "Output of 1M requests at list prices", "currency", answers_usd(""), CENTS,
         optional=maybe("")),
    Line("failed_usd", "Failed requests that are billed, on each served one", "currency",
         {"api": f"IF({tokens_usd('failed')} + {answers_usd('failed')}=0, 0,"
          f" ({tokens_usd('failed')} + {answers_usd('failed')})/1000000/(judged_requests-failed_requests))"}, TINY,
         _offer("failed_usd"), (*maybe("failed"), "judged_requests", "failed_requests")),
    Line("request_usd", "One request at the API", "currency",
         {"api": "(prompt_list_usd+answer_list_usd)/1000000 + failed_usd"}, TINY, _offer("request_usd")),
)  # fmt: skip


def fleet_at(end: str) -> tuple[Line, ...]:
    """Units that are paid for and a year of them, at the measured rate or an end of its interval."""
    unit_instances = f"{ceiling('peak_rps*(1+headroom)/plan_rps@')}+spares"
    lines = (
        Line("plan_rps@", "Rate of one instance, or provisioned unit", "requests/s",
             for_all(PAID, "rps_per_instance@", unit="tokens_per_s/(input_tokens+output_tokens)"), RATE,
             _offer("rate")),
        Line("plan_instances@", "Instances, or provisioned units", "", for_all(PAID, "instances@", unit=unit_instances),
             COUNT, _offer("instances")),
        Line("priced_units@", "Servers, instances or units that are paid for", "",
             for_all(PAID, "plan_instances@", **dict.fromkeys(_SERVERS, housed("plan_instances@", "plan_gpus_per_server"))),
             COUNT, _offer("units")),
        Line("fleet_year@", "The fleet for a year", "currency",
             for_all(PAID, "priced_units@*unit_year", api=f"request_usd*mean_rps*{SECONDS}"), CENTS,
             ("cost_per_million_tokens", "fleet_year_usd", "capacity", "price_ratio"), is_total=not end),
    )  # fmt: skip
    return tuple(line.at(end) for line in lines)


BELOW = (
    Line("plan_instances_for_peak", "… of the instances, for the peak alone", "",
         for_all(PAID, "instances_for_peak", unit=ceiling("peak_rps/plan_rps")), COUNT, _offer("instances_for_peak")),
    Line("plan_spares", "… spares", "", for_all(PAID, "spares_kept", unit="spares"), COUNT, _offer("spares_kept")),
)  # fmt: skip
"""What the ledger and the break-even ask of the fleet beside its size."""


def served_at(basis: str, end: str) -> Line:
    """What is served, at the measured rate or an end of its interval."""
    full = "priced_units@*instances_per_unit*plan_rps@*uptime"
    paid, api = {
        "capacity": (full, "mean_rps"),
        "slo": (f"{full}*good_share", "mean_rps*good_share"),
        "demand": (f"MIN(mean_rps, {full})", "mean_rps"),
    }[basis]
    source = ("cost_per_million_tokens", "served_rps", basis, "price_ratio")
    return Line(f"served_{basis}@", f"Served, {basis}", "requests/s", for_all(PAID, paid, api=api), RATE, source).at(
        end
    )


def basis_lines(basis: str) -> tuple[Line, ...]:
    """What is served and what it costs, on one cost basis: the price, its interval, its split."""
    return (served_at(basis, ""), *_prices(basis), *_split(basis))


def _prices(basis: str) -> tuple[Line, ...]:
    """1,000 requests, one request, 1M tokens: each at the measured rate and at both ends of its interval."""
    api = 'IF(good_share=0, "n/a", request_usd*1000/good_share)' if basis == "slo" else "request_usd*1000"
    paid = f"fleet_year@*1000/(served_{basis}@*{SECONDS})"
    per_1k = for_all(PAID, f'IF(served_{basis}@=0, "n/a", {paid})', api=api)
    needs = ("mean_rps",) if basis == "demand" else ()
    shapes: tuple[tuple[str, str, str | dict[str, str], str, tuple[str, ...]], ...] = (
        ("usd_per_1k", "1,000 requests", per_1k, "usd_per_1k_prompts", needs),
        ("usd_per_request", "One request", f"usd_per_1k_{basis}@/1000", "usd_per_request", ()),
        ("usd_per_mtok", "1M tokens, input and output alike", f"usd_per_1k_{basis}@*1000/(input_tokens+output_tokens)",
         "usd_per_mtok", ()),
    )  # fmt: skip
    ends = (("", "", ""), ("_at_hi", " – 95 % low", "_lo"), ("_at_lo", " – 95 % high", "_hi"))
    return tuple(
        Line(f"{name}_{basis}@", label, "currency", formula, TINY if name == "usd_per_request" else MONEY,
             ("cost_per_million_tokens", column + suffix, basis, "price_ratio"), needs=needed,
             is_total=not end and name == "usd_per_mtok").at(end, label + words)
        for name, label, formula, column, needed in shapes
        for end, words, suffix in ends
    )  # fmt: skip


def _split(basis: str) -> tuple[Line, ...]:
    """1M fresh input, cached input and output tokens, by both ways to split a cost."""
    cost, by_list = f"usd_per_1k_{basis}*1000", "(prompt_list_usd+answer_list_usd)"
    cached_price = "IF(COUNT(price_cached)=0, price_in, price_cached)"
    weight = "IF(COUNT(price_cached)=0, 1, price_cached/price_in)"
    weighed = "IF(COUNT(price_cached)=0, input_tokens, input_tokens+(price_cached/price_in-1)*cached_tokens)"
    by_time = ("price_cached", "price_in", "cached_tokens")
    rows: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
        ("price_ratio", "input", f"price_in*{cost}/{by_list}", ()),
        ("price_ratio", "cached_input", f"{cached_price}*{cost}/{by_list}", ("price_cached",)),
        ("price_ratio", "output", f"answer_list_usd/output_tokens*{cost}/{by_list}", ()),
        ("processor_sharing", "input", f"input_share*{cost}/{weighed}", by_time),
        ("processor_sharing", "cached_input", f"usd_per_mtok_input_{basis}_by_time*{weight}", by_time),
        ("processor_sharing", "output", f"output_share*{cost}/output_tokens", ()),
    )
    words = {"price_ratio": "by price ratio", "processor_sharing": "by measured time"}
    tail = {"price_ratio": "", "processor_sharing": "_by_time"}
    return tuple(
        Line(f"usd_per_mtok_{part}_{basis}{tail[method]}", f"1M {part.replace('_', ' ')} tokens, {words[method]}",
             "currency", formula if method == "price_ratio" else for_all(PAID, formula), MONEY,
             ("cost_per_million_tokens", f"usd_per_mtok_{part}", basis, method), optional)
        for method, part, formula, optional in rows
    )  # fmt: skip
