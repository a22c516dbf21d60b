"""What earlier nights say about how long a level takes, for `ratecard plan`."""

from warehouse.ask import ask
from warehouse.home import Home

_PACE = """
select endpoint, workload, concurrency, arg_max(level_s / requests, night) as seconds_per_request
from curated.operating_points
where requests > 0 and concurrency is not null
group by all
"""


def pace(home: Home) -> dict[tuple[str, str, int], float]:
    """Seconds a request of the latest night, by (endpoint, workload, concurrency); empty without a warehouse."""
    if not home.warehouse.exists():
        return {}
    return {
        (endpoint, workload, concurrency): seconds for endpoint, workload, concurrency, seconds in ask(home, _PACE).rows
    }
