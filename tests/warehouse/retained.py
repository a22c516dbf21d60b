"""Homes for the tests of retention: nights of several parts a level, and what they say."""

from datetime import date, timedelta
from typing import Any

from schemas.columns import CLIENT_HEALTH, SERVER_METRICS
from schemas.retention import Policy, Rule
from tests.traces import LEVEL, begin, frame, health, row, scrape
from warehouse.home import Home

FIRST = date(2026, 11, 20)


def measure(home: Home, day: int = 0, run_id: str = "r", **changes: Any) -> None:
    """A run on the night `day` days after FIRST: two levels, one of two shards in two parts each; health and scrapes.

    12 + 12 + 6 requests of 999 ms, one after the other, 8 seconds of health in two parts, 5 scrapes.
    """
    night = FIRST + timedelta(days=day)
    identity = {"run_id": f"{run_id}-{day}", "workload": "demo-chat", "run_date": str(night)} | changes
    folder = begin(home, night=f"{night}T02:00:00", **identity)
    run = folder.run()
    known: dict[str, Any] = {name: run[name] for name in ("run_id", "attempt", "endpoint", "workload")}
    known["run_date"] = night

    def write(name: str, rows: list[dict[str, Any]], **options: Any) -> None:
        frame(*(r | known for r in rows), **options).write_parquet(folder.path / f"a{run['attempt']}-{name}.parquet")

    requests = [row(i, closed_ns=i * 10**9 + 999_000_000, request_index=i // 2, shard=i % 2) for i in range(24)]
    for shard in (0, 1):
        mine = requests[shard::2]
        write(f"l001-s{shard:03d}", mine[:7])
        write(f"l001-s{shard:03d}-p001", mine[7:])
        write(f"l001-s{shard:03d}.client_health", [health(s, shard=shard) for s in range(1, 5)], table=CLIENT_HEALTH)
    write("l001.server_metrics", [scrape(s) for s in range(1, 6)], table=SERVER_METRICS)
    write("l002-s000", [row(i, level_index=2, closed_ns=i * 10**9 + 999_000_000) for i in range(6)])
    folder.land_level(LEVEL)
    folder.land_level(LEVEL | {"level_index": 2})
    folder.close("complete", None)


def policy(**fields: Any) -> Policy:
    """One rule for everything."""
    return Policy(rules={"all": Rule(**fields)})


def files(home: Home) -> dict[str, bytes]:
    """Everything below raw/, by path."""
    return {str(p.relative_to(home.raw)): p.read_bytes() for p in sorted(home.raw.rglob("*")) if p.is_file()}
