"""What a sizing starts from, and the same with one input moved a tenth up or down.

An input is moved where it enters the transforms: in the rows of the demand, the price plans, or the operating point.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

Row = dict[str, Any]
STEP = 0.1


@dataclass(frozen=True)
class Inputs:
    """Rows of the tables that the economics read: `raw.demands`, `raw.price_plans`, and of the chosen point."""

    demand: Row
    plans: tuple[Row, ...]
    point: Row
    attainment: Row
    shares: Row | None


@dataclass(frozen=True)
class Lever:
    """One input: `columns` of the rows `part` are moved together; `least` and `most` are a number or another column."""

    name: str
    part: str
    columns: tuple[str, ...]
    unit: str = ""
    least: float | str | None = None
    most: float | str | None = None
    is_count: bool = False


_RATE = Lever(
    "rps_per_instance",
    "point",
    ("request_rps", "request_rps_lo", "request_rps_hi", "request_rps_per_gpu"),
    "requests/s",
)
LEVERS = (
    Lever("peak_rps", "demand", ("peak_rps",), "requests/s", least="mean_rps"),
    Lever("mean_rps", "demand", ("mean_rps",), "requests/s", most="peak_rps"),
    Lever("headroom", "demand", ("headroom",), "of the peak"),
    Lever("spares", "demand", ("spares",), "instances", least=0, is_count=True),
    Lever("uptime", "demand", ("uptime",), "of the year", most=1),
    _RATE,
    # the cached share stays as it is
    Lever("input_tokens_mean", "point", ("input_tokens_mean", "cached_input_tokens_mean"), "tokens"),
    Lever("cached_input_tokens_mean", "point", ("cached_input_tokens_mean",), "tokens", most="input_tokens_mean"),
    Lever("output_tokens_mean", "point", ("output_tokens_mean",), "tokens"),
    Lever("server_price", "plans", ("server_price",), "currency"),
    Lever("salvage", "plans", ("salvage",), "currency", most="server_price"),
    Lever("depreciation_years", "plans", ("depreciation_years",), "years"),
    Lever("hosting_year", "plans", ("hosting_year",), "currency"),
    Lever("software_year", "plans", ("software_year",), "currency"),
    Lever("power_kw", "plans", ("power_kw",), "kW"),
    Lever("pue", "plans", ("pue",), least=1),
    Lever("usd_per_kwh", "plans", ("usd_per_kwh",), "currency/kWh"),
    Lever("staff_year", "plans", ("staff_year",), "currency"),
    Lever("other_year", "plans", ("other_year",), "currency"),
    Lever("usd_per_hour", "plans", ("usd_per_hour",), "currency/h"),
    Lever("tokens_per_s", "plans", ("tokens_per_s",), "tokens/s"),
    # of own and rent plans these are their reference's: they split a cost, and move no sum
    Lever("price_in", "plans", ("price_in",), "currency"),
    Lever("price_cached", "plans", ("price_cached",), "currency"),
    Lever("price_out", "plans", ("price_out",), "currency"),
    Lever("price_reasoning", "plans", ("price_reasoning",), "currency"),
)
"""In the order of docs/economics.md."""


def moved(inputs: Inputs) -> Iterator[tuple[Lever, int, Inputs]]:
    """Each input that is there, moved down (-1) and up (1): a tenth, a count by one, no further than it may go."""
    for lever in LEVERS:
        for direction in (-1, 1):
            other = _scaled(inputs, lever, 1 + direction * STEP, direction)
            if other != inputs:
                yield lever, direction, other


def _scaled(inputs: Inputs, lever: Lever, factor: float, step: int = 0) -> Inputs:
    if lever.part == "plans":
        return replace(inputs, plans=tuple(_moved(row, lever, factor, step) for row in inputs.plans))
    if lever.part == "demand":
        return replace(inputs, demand=_moved(inputs.demand, lever, factor, step))
    other = replace(inputs, point=_moved(inputs.point, lever, factor, step))
    if lever is not _RATE:
        return other
    # as many of a faster instance's requests are good
    good = Lever("good_rps", "attainment", ("good_rps", "good_tps"))
    return replace(other, attainment=_moved(other.attainment, good, factor, step))


def _moved(row: Row, lever: Lever, factor: float, step: int) -> Row:
    least, most = (row.get(limit) if isinstance(limit, str) else limit for limit in (lever.least, lever.most))
    known = (column for column in lever.columns if row.get(column) is not None)
    return row | {column: _within(row[column], lever, factor, step, least, most) for column in known}


def _within(value: float, lever: Lever, factor: float, step: int, least: float | None, most: float | None) -> float:
    other = value + step if lever.is_count else value * factor
    if least is not None and other < least:
        return least
    return most if most is not None and other > most else other
