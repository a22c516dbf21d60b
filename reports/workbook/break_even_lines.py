"""From which use on a plan is cheaper than another (docs/economics.md, Break-even)."""

from reports.workbook.cost_lines import HOURS, SECONDS
from reports.workbook.formulas import ceiling
from reports.workbook.lines import COUNT, PAID, RATE, Line, for_all

NEVER, LARGER = "never", "above this fleet"
_NEEDED = ceiling(f"({ceiling('even_rps*(1+headroom)/plan_rps')}+plan_spares)/instances_per_unit")
_CAPACITY = "(priced_units*instances_per_unit*plan_rps*uptime)"

AGAINST_RENT = (
    Line("even_hours", "Hours a year above which owning is cheaper", "h",
         {"own": 'IF(currency=rent_currency, server_year/(rent_usd_per_gpu_hour*plan_gpus_per_server), "n/a")'}, "#,##0.0",
         ("break_even", "hours_per_year", "rent"), ("currency", "rent_currency")),
    Line("even_utilisation", "… as a share of the year", "of the year", {"own": f"even_hours/{HOURS}"}, "0.00%",
         ("break_even", "utilisation", "rent")),
    Line("even_requests_rent", "… in requests, every server full in those hours", "requests a year",
         {"own": "IF(even_utilisation<=1, even_hours*3600*priced_units*plan_rps*instances_per_unit, "
                 f'"{NEVER}")'}, COUNT, ("break_even", "requests_per_year", "rent")),
)  # fmt: skip
AGAINST_API = (
    Line("even_rps", "Rate at which the fleet costs as much as the API", "requests/s",
         for_all(PAID, f'IF(currency=api_currency, fleet_year/(api_request_usd*{SECONDS}), "n/a")'), RATE,
         (), ("currency", "api_currency")),
    Line("even_load", "… as a share of the fleet's capacity", "of capacity", for_all(PAID, f"even_rps/{_CAPACITY}"),
         "0.00%", ("break_even", "utilisation", "api")),
    Line("even_units", "… and what that rate needs of what is paid for", "units",
         for_all(PAID, f"IF(even_rps<=peak_rps, priced_units, {_NEEDED})"), COUNT),
    Line("even_requests", "Requests above which the fleet is cheaper", "requests a year",
         for_all(PAID, f'IF(even_load>1, "{NEVER}", IF(even_units<=priced_units, even_rps*{SECONDS}, "{LARGER}"))'), COUNT,
         ("break_even", "requests_per_year", "api")),
    Line("even_tokens", "… in tokens", "tokens a month",
         for_all(PAID, 'IF(COUNT(even_requests)=1, even_requests/12*(input_tokens+output_tokens), even_requests)'), COUNT,
         ("break_even", "tokens_per_month", "api"), ("even_requests",)),
)  # fmt: skip
