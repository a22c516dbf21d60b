"""Rows for `raw.*`, chosen by hand: a test says only what matters to it, and the rest is one plain healthy run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.columns import REQUEST_TRACES, SOURCE_TABLES, TRACE_SCHEMA_VERSION, TRACES_SOURCE, Table
from transforms.runner import BuildReport, build

NIGHT = datetime(2026, 6, 1, 2, 0)
RUN = {
    "run_id": "run", "attempt": 1, "suite": "suite", "endpoint": "endpoint", "workload": "workload", "load": "load",
    "night": NIGHT, "run_date": NIGHT.date(), "started_at": NIGHT, "ended_at": NIGHT + timedelta(hours=1),
    "status": "complete", "levels_planned": 1, "levels_measured": 1, "rows_quarantined": 0, "catalog_hash": "catalog",
    "config_hash": "config", "client_version": "0.1.0", "url": "http://localhost/v1", "api": "chat", "model": "model",
    "engine": "engine", "precision": "bf16", "accelerator": "H100", "gpus_per_instance": 1, "gpus_per_server": 8,
    "instances_measured": 1, "role": "aggregated", "shares_prefix": False, "input_tokens_target": 100,
    "output_tokens_target": 10, "host": "host", "platform": "linux", "python_version": "3.11", "cpu_count": 2,
}  # fmt: skip
DEMAND = {
    "catalog_hash": "catalog", "demand": "demand", "application": "application", "workload": "workload", "slo": "slo",
    "peak_rps": 95.0, "growth": 0.0, "headroom": 0.0, "spares": 0, "uptime": 1.0, "price_plans": [],
}  # fmt: skip
OWN_PLAN = {
    "catalog_hash": "catalog", "price_plan": "own", "kind": "own", "models": [], "currency": "USD", "valid_from": date(2025, 1, 1),
    "server_price": 320_000.0, "depreciation_years": 4.0, "hosting_year": 3_000.0, "software_year": 4_500.0,
    "licence_basis": "per_server", "price_in": 1.0, "price_out": 3.0, "source": "NVIDIA TCO post, 2025",
}  # fmt: skip


@dataclass
class Given:
    """The raw rows of a test; `build` makes the warehouse from them and `expect` asks it."""

    con: duckdb.DuckDBPyConnection
    folder: Path
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {t.name: [] for t in SOURCE_TABLES})
    wanted: tuple[str, ...] | None = None
    """Tables that the tests of a module look at; null: all."""

    def run(self, **changes: Any) -> "Given":
        """A run attempt (its manifest)."""
        self.rows["runs"].append({**RUN, **changes})
        return self

    def request(
        self, sent_ms: float, *, ttft_ms: float = 100.0, gaps_ms: tuple[float, ...] = (100.0,) * 9,
        close_ms: float = 0.0, run: str = "run", **changes: Any,
    ) -> None:  # fmt: skip
        """A request by its times: first token after `ttft_ms`, then one chunk after each gap, closed `close_ms` on."""
        attempt, shard = changes.get("attempt", 1), changes.get("shard", 0)
        owner = next(r for r in self.rows["runs"] if (r["run_id"], r["attempt"]) == (run, attempt))
        ok = changes.get("outcome", "ok") == "ok"
        sent, first = _ns(sent_ms), _ns(sent_ms + ttft_ms)
        last = first + sum(_ns(gap) for gap in gaps_ms)
        row: dict[str, Any] = {
            **{name: owner[name] for name in ("suite", "endpoint", "workload", "load", "run_date", "model", "api")},
            "config_hash": "config", "client_version": "0.1.0", "schema_version": TRACE_SCHEMA_VERSION, "run_id": run, "attempt": attempt,
            "level_index": 1, "load_kind": "closed", "concurrency": 1, "shard": shard, "phase": "measure",
            "request_index": len(self.rows["request_traces"]), "epoch_wall_at": NIGHT, "clock_source": "kernel",
            "clock_suspect": False, "reads": 10, "merged_reads": 0, "first_token_merged": False, "scheduled_ns": sent,
            "sent_ns": sent, "closed_ns": last + _ns(close_ms), "outcome": "ok", "response_bytes": 1,
            "prompt_sha256": "0", "target_input_tokens": 100, "target_output_tokens": 10, "token_chunks": 0,
            "gaps_us": [],
        }  # fmt: skip
        if ok:
            row |= {
                "first_chunk_ns": first, "first_token_ns": first, "first_answer_ns": first, "last_token_ns": last,
                "http_status": 200, "finish_reason": "length", "token_chunks": len(gaps_ms) + 1,
                "gaps_us": [_ns(gap) // 1000 for gap in gaps_ms], "input_tokens": 100, "cached_input_tokens": 0,
                "output_tokens": len(gaps_ms) + 1, "input_token_source": "usage", "output_token_source": "usage",
                "chunk_token_source": "events",
            }  # fmt: skip
        self.rows["request_traces"].append(row | changes)

    def closed_loop(self, concurrency: int, rounds: int, *, each_ms: float = 1000.0, **changes: Any) -> "Given":
        """Slots that each send `rounds` requests of `each_ms`, one after the other, their starts spread evenly."""
        gaps = changes.pop("gaps_ms", (each_ms / 10,) * 9)
        for slot in range(concurrency):
            for turn in range(rounds):
                sent = each_ms * (turn + slot / concurrency)
                ttft = each_ms - sum(gaps)
                self.request(sent, ttft_ms=ttft, gaps_ms=gaps, concurrency=concurrency, **changes)
        return self

    def level(self, **changes: Any) -> "Given":
        """What the manifest says of a level."""
        level = {
            "run_id": "run", "attempt": 1, "level_index": 1, "load_kind": "closed", "concurrency": 1,
            "status": "complete", "rows_landed": 1, "rows_quarantined": 0, **changes,
        }  # fmt: skip
        self.rows["levels"].append(level)
        return self

    def health(self, second: float, **changes: Any) -> "Given":
        """A worker that was well, so many seconds after the level's start."""
        row = {
            "run_id": "run", "attempt": 1, "endpoint": "endpoint", "run_date": NIGHT.date(), "level_index": 1,
            "shard": 0, "sampled_at": NIGHT + timedelta(seconds=second), "elapsed_s": float(second), "in_flight": 1,
            "sent": 1, "done": 0, "late_sends": 0, "merged_reads": 0, "reads": 10, "cpu_share": 0.1,
            "connections_open": 1, "connections_opened": 1, "requests_on_reused": 1, "clock_step_ms": 0.0, **changes,
        }  # fmt: skip
        self.rows["client_health"].append(row)
        return self

    def scrape(self, second: float, **changes: Any) -> "Given":
        """A scrape of the engine's page, so many seconds after the level's start."""
        row = {
            "run_id": "run", "attempt": 1, "endpoint": "endpoint", "run_date": NIGHT.date(), "level_index": 1,
            "scraped_at": NIGHT + timedelta(seconds=second), "elapsed_s": float(second), "source": "vllm",
            "scrape_ms": 2.0, **changes,
        }  # fmt: skip
        self.rows["server_metrics"].append(row)
        return self

    def slo(self, *bounds: tuple[str, str | None, float], **changes: Any) -> "Given":
        """An SLO with bounds (metric, statistic, limit)."""
        slo = {"catalog_hash": "catalog", "slo": "slo", "workloads": [], "max_error_share": 0.01, **changes}
        self.rows["slos"].append(slo)
        for index, (metric, statistic, limit) in enumerate(bounds):
            self.rows["slo_bounds"].append(
                {"catalog_hash": slo["catalog_hash"], "slo": slo["slo"], "bound_index": index, "metric": metric,
                 "statistic": statistic, "limit_value": limit}
            )  # fmt: skip
        return self

    def demand(self, **changes: Any) -> "Given":
        """A demand."""
        self.rows["demands"].append({**DEMAND, **changes})
        return self

    def mix(self, shares: dict[str, float], **changes: Any) -> "Given":
        """A demand for several workloads, with the share of the requests of each."""
        demand = {**DEMAND, "workload": None, **changes}
        self.rows["demands"].append(demand)
        self.rows["demand_classes"] += [
            {"catalog_hash": demand["catalog_hash"], "demand": demand["demand"], "workload": name, "share": share}
            for name, share in shares.items()
        ]
        return self

    def plan(self, **changes: Any) -> "Given":
        """An own price plan, the NVIDIA server unless changed."""
        self.rows["price_plans"].append({**OWN_PLAN, **changes})
        return self

    def build(self) -> BuildReport:
        """Fill `raw.*` and build the warehouse."""
        self.rows["build_scope"] = [{"since": min((run["night"] for run in self.rows["runs"]), default=None)}]
        for table in SOURCE_TABLES:
            if table is not TRACES_SOURCE:
                fill(self.con, table, self.rows[table.name])
        self._land()
        return build(self.con, wanted=self.wanted)

    def macros(self) -> None:
        """Make the macros, and no table."""
        build(self.con, wanted=())

    def _land(self) -> None:
        """Put the traces into a file, and read them from there."""
        name, part = f"raw.{REQUEST_TRACES.name}", self.folder / "traces.parquet"
        fill(self.con, REQUEST_TRACES, self.rows[REQUEST_TRACES.name])
        pq.write_table(self.con.sql(f"from {name}").to_arrow_table(), part)
        self.con.execute(
            f"drop table {name}; create view {name} as select * rename (file_row_number as row_no), '{part}' as file "
            f"from read_parquet('{part}', file_row_number = true)"
        )

    def one(self, query: str) -> dict[str, Any]:
        """The only row of a query."""
        rows = self.all(query)
        assert len(rows) == 1, rows
        return rows[0]

    def all(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query as objects."""
        result = self.con.execute(query)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def point(self, columns: str = "*") -> dict[str, Any]:
        """The only operating point."""
        return self.one(f"select {columns} from curated.operating_points")


@contextmanager
def given() -> Iterator[Given]:
    """An empty warehouse in memory, with databases attached as `raw` and `staging` that stay open to look into."""
    with TemporaryDirectory() as folder, duckdb.connect(config={"threads": 1}) as con:
        con.execute("attach ':memory:' as raw; attach ':memory:' as staging")
        yield Given(con, Path(folder))


def fill(con: duckdb.DuckDBPyConnection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Make `raw.<table>` as the contract has it and insert the rows; columns that a row lacks are null."""
    columns = ", ".join(f'"{c.name}" {c.type}{"" if c.nullable else " not null"}' for c in table.columns)
    con.execute(f"create table raw.{table.name} ({columns})")
    if rows:
        names = list(dict.fromkeys(name for row in rows for name in row))
        con.register("given_rows", pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]))
        con.execute(f"insert into raw.{table.name} by name select * from given_rows")
        con.unregister("given_rows")


def _ns(ms: float) -> int:
    return round(ms * 1_000_000)
