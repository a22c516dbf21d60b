"""The inputs of the workbook: what each is called, its words, unit and number format, and what may be typed."""

from dataclasses import dataclass
from typing import Any

from reports.workbook.lines import CENTS, COUNT, MONEY, RATE, SHARE

_POSITIVE = {"validate": "decimal", "criteria": ">", "value": 0, "error_message": "A number above 0"}
_BETWEEN = {"validate": "custom", "error_message": "A number above 0, and the mean not above the peak"}
_PEAK = {**_BETWEEN, "value": "=AND(peak_rps>0,peak_rps>=MAX(0,mean_rps))"}
_MEAN = {**_BETWEEN, "value": "=AND(mean_rps>0,mean_rps<=peak_rps)"}
_AT_LEAST_0 = {"validate": "decimal", "criteria": ">=", "value": 0, "error_message": "0 or more"}
_UP_TO_1 = {
    "validate": "decimal",
    "criteria": "between",
    "minimum": 1e-9,
    "maximum": 1,
    "error_message": "Above 0, up to 1",
}


@dataclass(frozen=True)
class Input:
    """One input: its name in formulas, words, unit, number format, and what may be typed."""

    name: str
    label: str
    unit: str
    number: str
    allowed: dict[str, Any]


DEMAND = (
    Input("peak_rps", "Peak request rate", "requests/s", "#,##0.####", _PEAK),
    Input("mean_rps", "Mean request rate (empty: not known)", "requests/s", "#,##0.####", _MEAN),
    Input("headroom", "Headroom: capacity above the peak", "of the peak", "0.0%", _AT_LEAST_0),
    Input("spares", "Spare instances (N+1 is 1)", "instances", COUNT, _AT_LEAST_0),
    Input("uptime", "Uptime: share of the year that the fleet serves", "of the year", "0.00%", _UP_TO_1),
    Input("max_instances", "Budget of instances (empty: none)", "instances", COUNT, _POSITIVE),
    Input("max_gpus", "Budget of GPUs (empty: none)", "GPUs", COUNT, _POSITIVE),
)
HARDWARE = (
    Input("gpus_per_instance", "GPUs that one instance takes", "GPUs", COUNT, _POSITIVE),
    Input("gpus_per_server", "GPUs in one server of the endpoint", "GPUs", COUNT, _POSITIVE),
)
_OWN, _SERVERS = ("own",), ("own", "server")
PLAN: tuple[tuple[Input, tuple[str, ...]], ...] = (
    (Input("plan_gpus_per_server", "GPUs in a server of the plan", "GPUs", COUNT, _POSITIVE), _SERVERS),
    (Input("server_price", "Price of a server", "currency", CENTS, _POSITIVE), _OWN),
    (Input("salvage", "Worth of a server at the end", "currency", CENTS, _AT_LEAST_0), _OWN),
    (Input("depreciation_years", "Depreciation", "years", "0.##", _POSITIVE), _OWN),
    (Input("hosting_year", "Hosting a server", "currency a year", CENTS, _AT_LEAST_0), _OWN),
    (Input("software_year", "Licences", "currency a year", CENTS, _AT_LEAST_0), _OWN),
    (Input("licence_basis", "… for each", "per_server, per_gpu", "@",
           {"validate": "list", "source": ["per_server", "per_gpu"]}), _OWN),
    (Input("power_kw", "Power of a server", "kW", "0.###", _AT_LEAST_0), _OWN),
    (Input("pue", "Power usage effectiveness (PUE)", "", "0.00", {**_AT_LEAST_0, "value": 1}), _OWN),
    (Input("usd_per_kwh", "Electricity", "currency/kWh", MONEY, _AT_LEAST_0), _OWN),
    (Input("staff_year", "Staff for a server", "currency a year", CENTS, _AT_LEAST_0), _OWN),
    (Input("other_year", "Anything else for a server", "currency a year", CENTS, _AT_LEAST_0), _OWN),
    (Input("usd_per_hour", "Rent of one GPU, server or unit", "currency/h", MONEY, _POSITIVE), ("server", "gpu", "unit")),
    (Input("tokens_per_s", "Tokens that a provisioned unit serves", "tokens/s", "#,##0.##", _POSITIVE), ("unit",)),
    (Input("price_in", "1M input tokens (own, rent: reference)", "currency", MONEY, _POSITIVE), ()),
    (Input("price_cached", "1M cached input tokens (empty: as input)", "currency", MONEY, _AT_LEAST_0), ()),
    (Input("price_out", "1M output tokens", "currency", MONEY, _POSITIVE), ()),
    (Input("price_reasoning", "1M reasoning tokens (empty: as output)", "currency", MONEY, _AT_LEAST_0), ()),
)  # fmt: skip
"""Inputs of a price plan and the kinds that have them; none named: all."""
MEASURED = {
    "request_rps": ("Request rate", "requests/s", RATE),
    "request_rps_at_hi": ("… upper end of its 95 % interval", "requests/s", RATE),
    "request_rps_at_lo": ("… lower end", "requests/s", RATE),
    "good_rps": ("Good requests", "requests/s", RATE),
    "instances_measured": ("Instances that served it", "instances", COUNT),
    "input_tokens": ("ISL: mean input", "tokens", "#,##0.00"),
    "cached_tokens": ("CSL: mean cached part of it", "tokens", "#,##0.00"),
    "output_tokens": ("OSL: mean output", "tokens", "#,##0.00"),
    "reasoning_tokens": ("RSL: mean reasoning part of it", "tokens", "#,##0.00"),
    "idle_share": ("x_idle: no request in flight", "of the time", SHARE),
    "failed_share": ("x_f: time of failed requests", "of the work", SHARE),
    "missed_share": ("x_m: time of requests that miss the SLO", "of the work", SHARE),
    "input_share": ("s_in: good requests before their first token", "of good work", SHARE),
    "output_share": ("s_out: after it", "of good work", SHARE),
}


def of_plans() -> set[str]:
    """Names that each price plan has."""
    return {entry.name for entry, _ in PLAN}
