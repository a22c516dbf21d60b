"""Per-request records of any tool as Arrow columns of `request_traces`.

Times are nanoseconds of the wall clock until they get here, and of the level's epoch, midnight (UTC) of its first day,
afterwards. What a tool does not say is null; nothing is made up.
"""

from array import array
from collections.abc import Sequence
from datetime import date, datetime
from itertools import accumulate
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.arrow import arrow_schema
from schemas.columns import REQUEST_TRACES, TRACE_SCHEMA_VERSION

_SCHEMA = arrow_schema(REQUEST_TRACES)
_LONGEST_US = 2.0**31 - 1


class Record(NamedTuple):
    """One request as another tool recorded it."""

    request_index: int
    scheduled_ns: int | None
    sent_ns: int | None
    headers_ns: int | None
    first_token_ns: int | None
    first_answer_ns: int | None
    last_token_ns: int | None
    closed_ns: int
    phase: str
    outcome: str
    http_status: int | None
    error: str | None
    input_tokens: int | None
    cached_input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    input_token_source: str | None
    output_token_source: str | None
    gaps_ms: Sequence[float] | None
    """Gaps between token chunks: one fewer than there are."""
    response_bytes: int | None
    finish_reason: str | None = None


Row = tuple[Any, ...]
"""A Record, or its fields."""


def table_of(records: list[Row], constants: dict[str, Any], epoch: datetime) -> pa.Table:
    """`records` with what all of their level share; times count from `epoch`."""
    columns = dict(zip(Record._fields, zip(*records, strict=True), strict=True))
    epoch_ns = int((epoch - datetime(1970, 1, 1)).total_seconds()) * 1_000_000_000
    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        if name.endswith("_ns"):
            arrays[name] = _since(values, epoch_ns)
        elif name != "gaps_ms":
            arrays[name] = values
    arrays |= _gaps(columns["gaps_ms"], columns["first_token_ns"])
    shared = constants | {"epoch_wall_at": epoch, "clock_source": "imported", "clock_suspect": False, "shard": 0}
    rows = len(records)
    return pa.Table.from_arrays(
        [_column(field, arrays.get(field.name), shared.get(field.name), rows) for field in _SCHEMA], schema=_SCHEMA
    )


def _column(field: "pa.Field[Any]", values: Any, constant: Any, rows: int) -> Any:
    if values is None:
        return pa.nulls(rows, field.type) if constant is None else pa.repeat(pa.scalar(constant, field.type), rows)
    if isinstance(values, pa.Array):
        return values
    return pa.array(values, field.type)


def _since(values: tuple[int | None, ...], epoch_ns: int) -> Any:
    """Nanoseconds after the epoch."""
    return pc.subtract(pa.array(values, pa.int64()), pa.scalar(epoch_ns, pa.int64()))


def _gaps(gaps: tuple[Sequence[float] | None, ...], first_token: tuple[int | None, ...]) -> dict[str, Any]:
    """gaps_us and token_chunks: no token is no chunk and no gap; gaps that the tool does not say are null."""
    known = [g is not None or first is None for g, first in zip(gaps, first_token, strict=True)]
    lists = [array("d") if g is None else g if isinstance(g, array) else array("d", g) for g in gaps]
    joined = b"".join(lists)
    flat = pa.Array.from_buffers(pa.float64(), len(joined) // 8, [None, pa.py_buffer(joined)])
    offsets = pa.array(accumulate(map(len, lists), initial=0), pa.int32())
    whole: Any = pc.round(pc.multiply(flat, 1000.0))
    extremes: Any = pc.min_max(whole).as_py()
    if (extremes["min"] or 0) < -1 or (extremes["max"] or 0) > _LONGEST_US:  # no gap either: the contract says so
        whole = pc.max_element_wise(pc.min_element_wise(whole, pa.scalar(_LONGEST_US)), pa.scalar(-1.0))
    chunks = [
        (len(g) + 1 if first is not None else 0) if is_known else None
        for g, first, is_known in zip(lists, first_token, known, strict=True)
    ]
    unknown = None if all(known) else pa.array([not is_known for is_known in known])
    return {
        "gaps_us": pa.ListArray.from_arrays(
            offsets, pc.cast(whole, pa.int32()), type=_SCHEMA.field("gaps_us").type, mask=unknown
        ),
        "token_chunks": pa.array(chunks, pa.int32()),
        "chunk_token_source": pa.array(["chunk_mean" if count else None for count in chunks], pa.string()),
    }


def constants_of(run: dict[str, Any], level: Any) -> dict[str, Any]:
    """The columns that all rows of an imported level share."""
    names = ("run_id", "attempt", "suite", "endpoint", "workload", "load", "config_hash", "model", "api")
    return {
        **{name: run[name] for name in names},
        "run_date": date.fromisoformat(run["run_date"]),
        "level_index": level.level_index,
        "load_kind": level.load_kind,
        "concurrency": level.concurrency,
        "request_rate": level.request_rate,
        "client_version": client_version(level.tool, level.tool_version),
        "schema_version": TRACE_SCHEMA_VERSION,
        "target_input_tokens": level.target_input_tokens,
        "target_output_tokens": level.target_output_tokens,
    }


def client_version(tool: str, version: str | None) -> str:
    """The tool as the client of a run."""
    return f"{tool} {version}" if version else tool
