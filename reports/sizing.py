"""The answer of `ratecard size` in the terminal: the point, the fleet, three costs, the ledger, what moves them most."""

from collections.abc import Iterator, Sequence
from typing import Any

from reports.loads import load_of
from reports.numbers import DASH, money, money_interval, number, percent, when
from reports.tables import plain_table
from reports.words import METRICS
from warehouse.sizing import Sizing

Row = dict[str, Any]
MOST = 12
"""Inputs that the sensitivity shows: those that move the cost most."""
_METHODS = {"price_ratio": "by price ratio", "processor_sharing": "by measured time", "separate_phases": "by pool"}
_BASES = {"capacity": "every server full", "slo": "good requests only", "demand": "at the mean rate"}


def sizing_text(sizing: Sizing) -> str:
    """The answer for a terminal."""
    best = sizing.best
    head = f"{best['endpoint']} x {best['workload']}, SLO {best['slo']}, night {when(best['night'])} UTC"
    parts = [head, verdict(sizing)]
    if sizing.fleet is not None and sizing.fleet["instances"] is not None:
        parts += [_fleet(sizing.fleet, sizing), *_money(sizing)]
    return "\n\n".join(part for part in parts if part)


def verdict(sizing: Sizing) -> str:
    """The operating point and why, or why there is none."""
    best = sizing.best
    if best["status"] == "infeasible":
        metric = f"{METRICS.get(best['nearest_metric'], best['nearest_metric'])} {best['nearest_statistic'] or ''}".strip()
        return (
            f"Infeasible: none of {best['valid_points']} valid points meets the SLO. The nearest miss is "
            f"{best['nearest_operating_point_id']}: {metric} {number(best['nearest_value'])} against "
            f"{number(best['nearest_limit'])} ({percent(best['nearest_excess'])} off)."
        )
    if best["status"] == "undecided":
        return f"Undecided: a valid point cannot be judged for want of samples or counts ({best['reasons']})."
    if best["status"] != "chosen" or sizing.inputs is None:
        return f"No valid point: {best['reasons']}."
    point = sizing.inputs.point
    within = "" if best["attainment"] is None else f"; {percent(best['attainment'])} of requests within the SLO"
    return (
        f"Run at {load_of(best)} ({best['operating_point_id']}): {number(best['request_rps'])} requests/s over "
        f"{point['instances_measured']} instance(s), {number(best['request_rps_per_gpu'])} a GPU, the most of "
        f"{best['feasible_points']} point(s) that meet the SLO, of {best['valid_points']} valid{within}."
    )


def _fleet(fleet: Row, sizing: Sizing) -> str:
    headroom = fleet["instances_with_headroom"] - fleet["instances_for_peak"]
    spread = "" if fleet["instances_lo"] is None or fleet["instances_hi"] is None else f"{fleet['instances_lo']} to {fleet['instances_hi']}"
    rows = [
        ["peak / mean", f"{number(fleet['peak_rps'])} / {number(fleet['mean_rps'])} requests/s", _of_mean(fleet)],
        ["an instance", f"{number(fleet['rps_per_instance'])} requests/s on {fleet['gpus_per_instance']} GPU(s)", _rates(fleet)],
        ["instances", fleet["instances"], f"{fleet['instances_for_peak']} for the peak, {headroom} headroom, {fleet['spares']} spare"],
        ["", "", f"{spread} over the 95 % interval of the rate" if spread else "the rate has no interval"],
        ["servers", fleet["servers"], f"of {fleet['gpus_per_server']} GPUs; {fleet['stranded_gpus']} of {fleet['gpus'] + fleet['stranded_gpus']} GPUs stranded"],
        ["utilisation", percent(fleet["utilisation"]), f"at the peak; {percent(fleet['utilisation_at_mean'])} at the mean"],
        ["load served", percent(fleet["share_of_load_served"]), _budget(fleet)],
        ["one server down", "holds the peak" if fleet["survives_one_server"] else "does not hold the peak", ""],
    ]  # fmt: skip
    return plain_table(["Fleet", "", ""], [row for row in rows if any(row)])


def _of_mean(fleet: Row) -> str:
    return "the mean is not known: --mean-rps or --peak-to-average" if fleet["mean_rps"] is None else ""


def _rates(fleet: Row) -> str:
    low, high = fleet["rps_per_instance_lo"], fleet["rps_per_instance_hi"]
    return "" if low is None or high is None else f"{number(low)} to {number(high)} (95 %)"


def _budget(fleet: Row) -> str:
    return "" if fleet["max_instances"] is None else f"within a budget of {fleet['max_instances']} instances"


def _money(sizing: Sizing) -> Iterator[str]:
    costs = sizing.rows("cost_per_million_tokens")
    if not costs:
        yield "No price plan fits the endpoint's hardware on that date: name one with --price-plan, or see prices.yaml."
        return
    yield plain_table(
        ["Cost", "basis", "a year", "requests/s", "1k prompts", "a request", "1M tokens", "95 % interval", "input", "cached", "output"],
        [_cost(row) for row in _ordered(costs, sizing) if row["allocation_method"] != "processor_sharing"],
    )  # fmt: skip
    if (plan := sizing.plan) is None:
        return
    yield _ledger(sizing.rows("cost_ledger"), plan)
    yield "\n".join(_break_even(sizing.rows("break_even"), plan, sizing))
    yield _sensitivity(sizing, plan)


def _ordered(costs: Sequence[Row], sizing: Sizing) -> list[Row]:
    """Plans by what they are compared by, each with its three bases."""
    rank = {plan: place for place, plan in enumerate(sizing.ranked)}
    bases = list(_BASES)
    return sorted(costs, key=lambda row: (rank.get(row["price_plan"], len(rank)), row["price_plan"], bases.index(row["cost_basis"])))


def _cost(row: Row) -> list[Any]:
    def shown(column: str) -> str:
        return money(row[column], row["currency"])

    return [
        row["price_plan"],
        row["cost_basis"],
        shown("fleet_year_usd"),
        number(row["served_rps"]),
        shown("usd_per_1k_prompts"),
        shown("usd_per_request"),
        shown("usd_per_mtok"),
        money_interval(row["usd_per_mtok_lo"], row["usd_per_mtok_hi"], row["currency"]),
        shown("usd_per_mtok_input"),
        shown("usd_per_mtok_cached_input"),
        shown("usd_per_mtok_output"),
    ]


def _ledger(ledger: Sequence[Row], plan: str) -> str:
    rows = [row for row in ledger if row["price_plan"] == plan]
    if not rows:
        return f"Ledger of {plan}: its year is not known."
    methods = [method for method in _METHODS if any(row["allocation_method"] == method for row in rows)]
    by_bucket: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_bucket.setdefault(row["bucket"], {})[row["allocation_method"]] = row
    currency, year = rows[0]["currency"], rows[0]["fleet_year_usd"]
    order = ["stranded", "spare", "headroom", "idle", "failed", "slo_missed", "input", "cached_input", "output", "unallocated"]
    lines: list[list[Any]] = []
    for bucket in sorted(by_bucket, key=order.index):
        cells = [by_bucket[bucket].get(method) for method in methods]
        amounts = [cents(cell["usd_shown"] if cell else None, currency) for cell in cells]
        shares = [percent(cell["usd"] / year) if cell and cell["usd"] is not None and year else DASH for cell in cells]
        lines.append([bucket, *(part for pair in zip(amounts, shares, strict=True) for part in pair)])
    lines.append(["sum", *(part for _ in methods for part in (cents(round(year, 2), currency), percent(1)))])
    heads = [f"Ledger of {plan}", *(part for method in methods for part in (_METHODS[method], ""))]
    standing = {"peak": "at the peak: the mean rate is not known", "trace": "over the demand's trace"}
    at = standing.get(rows[0]["mean_basis"], "at the mean rate")
    return f"{plain_table(heads, lines).rpartition(chr(10))[0]}\nA fleet's year {at} ({number(rows[0]['served_rps'])} requests/s served)."


def cents(value: float | None, currency: str) -> str:
    """An amount to the cent."""
    if value is None:
        return DASH
    sign = "$" if currency == "USD" else f"{currency} "
    return f"{sign}{value:,.2f}"


def _break_even(rows: Sequence[Row], plan: str, sizing: Sizing) -> Iterator[str]:
    for row in rows:
        if row["price_plan"] != plan:
            continue
        other = row["other_plan"]
        if row["verdict"] != "crosses":
            words = {"never": "never cheaper", "unknown": "not known", "currency_mix": "prices in two currencies"}
            yield f"Break-even of {plan} with {other}: {words[row['verdict']]}."
        elif row["other_kind"] == "rent":
            yield (
                f"Break-even of {plan} with {other}: {number(row['hours_per_year'])} hours a year, "
                f"{percent(row['utilisation'])} of it."
            )
        else:
            yield (
                f"Break-even of {plan} with {other}: {number(row['requests_per_year'], 8)} requests a year "
                f"({number(row['rps'])} requests/s, {number(row['tokens_per_month'])} tokens a month)."
            )


def _sensitivity(sizing: Sizing, plan: str) -> str:
    rows = [row for row in sizing.sensitivity() if row["effect_low"] or row["effect_high"]]
    currency = next(row["currency"] for row in sizing.rows("cost_per_million_tokens") if row["price_plan"] == plan)
    what = "1M tokens" if sizing.compared == "usd_per_mtok" else "a request"
    lines = [
        [
            row["input"],
            row["unit"].replace("currency", currency),
            number(row["value"]),
            *_end(row, "low", currency),
            *_end(row, "high", currency),
        ]
        for row in rows[:MOST]
    ]
    heads = ["What moves it most", "", "now", "less", f"{what} then", "", "more", f"{what} then", ""]
    note = (
        f"One input a tenth down and up, the others held; counts by one. {plan}, {_BASES[sizing.cost_basis]}. Token counts "
        "move at the measured rate, which a longer prompt would lower."
    )
    return f"{plain_table(heads, lines).rpartition(chr(10))[0]}\n{note}"


def _end(row: Row, end: str, currency: str) -> list[str]:
    effect = row[f"effect_{end}"]
    change = "" if effect is None else f"{effect:+.1%}"
    return [number(row[end]), money(row[f"cost_{end}"], currency), change] if row[end] is not None else ["", "", ""]


def sizing_json(sizing: Sizing) -> dict[str, Any]:
    """The answer for scripts, rows named as in the warehouse."""
    question = sizing.question
    return {
        "asked": {"endpoint": question.endpoint, "slo": question.slo, **question.demand},
        "best_operating_point": sizing.best,
        "fleet": sizing.fleet,
        "price_plan": sizing.plan,
        "compared_by": f"{sizing.compared}, {sizing.cost_basis}",
        **{name: sizing.rows(name) for name in ("cost_per_million_tokens", "cost_ledger", "break_even")},
        "sensitivity": sizing.sensitivity(),
    }
