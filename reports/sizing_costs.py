"""What a fleet costs, in the terminal: three costs a plan, the ledger, break-even, what moves it most."""

from collections.abc import Iterator, Sequence
from typing import Any

from reports.numbers import DASH, cents, money, money_interval, number, percent
from reports.tables import plain_table
from reports.words import BUCKETS
from warehouse.sizing import Row, Sizing

MOST = 12
"""Inputs that the sensitivity shows: those that move the cost most."""
_METHODS = {"price_ratio": "by price ratio", "processor_sharing": "by measured time", "separate_phases": "by pool"}
_BASES = {"capacity": "every server full", "slo": "good requests only", "demand": "at the mean rate"}


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A terminal table without the count of its rows."""
    return plain_table(heads, rows).rpartition("\n")[0]


def costs_text(sizing: Sizing) -> Iterator[str]:
    """Its tables and sentences, one after the other."""
    costs = sizing.rows("cost_per_million_tokens")
    if not costs:
        yield "No price plan fits the endpoint's hardware on that date: name one with --price-plan, or see prices.yaml."
        return
    yield table(
        ["Cost", "basis", "a year", "requests/s", "1k prompts", "a request", "1M tokens", "95 % interval", "input", "cached", "output"],
        [_cost(row) for row in _ordered(costs, sizing) if row["allocation_method"] != "processor_sharing"],
    )  # fmt: skip
    if (plan := sizing.plan) is None:
        return
    yield _ledger(sizing.rows("cost_ledger"), plan)
    yield "\n".join(_break_even(sizing.rows("break_even"), plan))
    yield _sensitivity(sizing, plan)


def _ordered(costs: Sequence[Row], sizing: Sizing) -> list[Row]:
    """Plans by what they are compared by, each with its three bases."""
    rank = {plan: place for place, plan in enumerate(sizing.ranked)}
    bases = list(_BASES)
    return sorted(
        costs,
        key=lambda row: (rank.get(row["price_plan"], len(rank)), row["price_plan"], bases.index(row["cost_basis"])),
    )


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
    lines: list[list[Any]] = []
    for bucket in sorted(by_bucket, key=list(BUCKETS).index):
        cells = [by_bucket[bucket].get(method) for method in methods]
        amounts = [cents(cell["usd_shown"] if cell else None, currency) for cell in cells]
        shares = [percent(cell["usd"] / year) if cell and cell["usd"] is not None and year else DASH for cell in cells]
        lines.append([bucket, *(part for pair in zip(amounts, shares, strict=True) for part in pair)])
    lines.append(["sum", *(part for _ in methods for part in (cents(round(year, 2), currency), percent(1)))])
    heads = [f"Ledger of {plan}", *(part for method in methods for part in (_METHODS[method], ""))]
    standing = {"peak": "at the peak: the mean rate is not known", "trace": "over the demand's trace"}
    at = standing.get(rows[0]["mean_basis"], "at the mean rate")
    return f"{table(heads, lines)}\nA fleet's year {at} ({number(rows[0]['served_rps'])} requests/s served)."


def _break_even(rows: Sequence[Row], plan: str) -> Iterator[str]:
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
                f"Break-even of {plan} with {other}: {row['requests_per_year']:,.0f} requests a year "
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
    return f"{table(heads, lines)}\n{note}"


def _end(row: Row, end: str, currency: str) -> list[str]:
    effect = row[f"effect_{end}"]
    change = "" if effect is None else f"{effect:+.1%}"
    return [number(row[end]), money(row[f"cost_{end}"], currency), change] if row[end] is not None else ["", "", ""]
