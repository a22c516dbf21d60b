"""staging.gap_folds: the one pass over every gap between token chunks, of some hundred thousand to a million gaps a row.

grain: fold_no

columns: counts, how often each gap came among the ok requests sent in the window, by level, tokens of the later chunk,
and tokens a chunk of the request where only that mean is known (both null where the server gave no token count): the same
combination may come again in another row; arrivals, of each ok request that streams across an edge of the window's
slices: its gaps before the edge, and the tokens of the chunks before it and of all, null where they are not known.

Why not SQL: grouping rows takes three times as long as reading them, and would be a second pass for the arrivals (ADR
0008). What the tables of SQL on top of it hold is `staging.gap_histogram` and `staging.level_flow`.
"""

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from transforms.folding import Lists, fold
from transforms.trace_lists import by_file, plain_memory, read

READS = ("raw.trace_places", "staging.requests", "staging.window_edges")

_GAPS_A_FOLD, _WORTH_A_FOLD = 2**21, 2**18
_COUNT = pa.struct(
    [
        ("level_no", pa.int64()),
        ("gap_us", pa.int32()),
        ("chunk_tokens", pa.int32()),
        ("mean_tokens", pa.float64()),
        ("occurrences", pa.int64()),
    ]
)
_ARRIVAL = pa.struct(
    [(name, pa.int64()) for name in ("level_no", "shard", "request_index", "edge", "gaps_before")]
    + [("tokens_before", pa.int64()), ("tokens_in_all", pa.int64())]
)
_SCHEMA = pa.schema([("fold_no", pa.int64()), ("counts", pa.list_(_COUNT)), ("arrivals", pa.list_(_ARRIVAL))])
_STREAMS = """
with straddling as (
    select
        requests.level_no,
        requests.shard,
        requests.request_index,
        list(edges.edge order by edges.edge) as edges,
        list((edges.edge_ns - requests.first_token_ns) // 1000 order by edges.edge) as reached_us,
    from staging.requests as requests
    inner join staging.window_edges as edges
        on
            requests.level_no = edges.level_no
            and requests.first_token_ns <= edges.edge_ns
            and requests.last_token_ns > edges.edge_ns
    where requests.is_ok
    group by requests.level_no, requests.shard, requests.request_index
),

streams as (
    select
        requests.run_id,
        requests.attempt,
        requests.level_index,
        requests.shard,
        requests.request_index,
        requests.level_no,
        requests.mean_chunk_tokens as mean_tokens,
        requests.sent_in_window and requests.token_chunks > 1 as is_pooled,
        requests.output_tokens is not null as has_tokens,
        hash(requests.level_no, requests.mean_chunk_tokens) as kind_no,
        straddling.edges,
        straddling.reached_us,
    from staging.requests as requests
    left join straddling using (level_no, shard, request_index)
    where requests.is_ok and (is_pooled or straddling.edges is not null)
)

select
    places.file,
    places.row_no,
    streams.level_no,
    streams.shard,
    streams.request_index,
    streams.kind_no,
    streams.mean_tokens,
    streams.is_pooled,
    streams.has_tokens,
    streams.edges,
    streams.reached_us,
from raw.trace_places as places
inner join streams using (run_id, attempt, level_index, shard, request_index)
order by places.file, places.row_no
"""


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table `staging.gap_folds`."""
    con.register("folds", _SCHEMA.empty_table())
    con.execute("create or replace table staging.gap_folds as from folds")
    streams = con.sql(_STREAMS).to_arrow_table().combine_chunks()
    with plain_memory():
        for fold_no, (batch, gaps, tokens) in enumerate(_batches(streams), start=1):
            made = [_one(make(batch, gaps, tokens)) for make in (_counts, _arrivals)]
            con.register("folds", pa.Table.from_arrays([pa.array([fold_no], pa.int64()), *made], schema=_SCHEMA))
            con.execute("insert into staging.gap_folds from folds")
    con.unregister("folds")


def _batches(streams: pa.Table) -> Iterator[tuple[pa.RecordBatch, Lists, Lists]]:
    """Rows of `streams` with their gaps and tokens, about so many gaps at a time as a fold takes, from one file or more."""
    waiting: list[list[Lists]] = []
    begun = done = 0  # rows of `streams`
    for file, first, end in by_file(streams["file"]) if streams.num_rows else ():
        rows = streams["row_no"].slice(first, end - first).to_numpy()
        for many, lists in read(file, rows, ("gaps_us", "chunk_tokens"), _WORTH_A_FOLD):
            waiting.append(lists)
            done += many
            # the level of a file is better not folded with the next one's
            enough = _WORTH_A_FOLD if done == end else _GAPS_A_FOLD
            if done == streams.num_rows or sum(len(gaps.values) for gaps, _ in waiting) >= enough:
                [batch] = streams.slice(begun, done - begun).to_batches()
                gaps, tokens = (Lists.joined(parts) for parts in zip(*waiting, strict=True))
                yield batch, gaps, tokens
                waiting, begun = [], done


def _one(rows: Any) -> Any:
    return pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows)


def _lists(column: Any) -> Lists:
    """A column of lists; a null is an empty one."""
    return Lists.of_lengths(column.flatten().to_numpy(), column.value_lengths().fill_null(0).to_numpy())


def _mask(column: Any) -> Any:
    return column.to_numpy(zero_copy_only=False)


def _counts(batch: pa.RecordBatch, gaps: Lists, tokens: Lists) -> Any:
    """Rows of `counts`: of the requests with tokens by the chunk, and of the others."""
    pooled = _mask(batch["is_pooled"]) & (gaps.lengths > 0)
    weighted = _mask(batch["has_tokens"]) & (tokens.lengths > 0)
    parts = []
    if len(rows := np.flatnonzero(pooled & ~weighted)):
        parts.append(_folded(batch, rows, gaps[rows], None))
    if len(rows := np.flatnonzero(pooled & weighted)):
        of_rows = tokens[rows]
        # the first chunk ends no gap
        parts.append(_folded(batch, rows, gaps[rows], np.delete(of_rows.values, of_rows.offsets[:-1])))
    return pa.concat_arrays(parts) if parts else pa.array([], _COUNT)


def _folded(batch: pa.RecordBatch, rows: Any, gaps: Lists, tokens: Any) -> Any:
    """Rows of `counts` of these requests; all that is said of a kind holds of each request of it."""
    kinds, firsts, of_rows = np.unique(batch["kind_no"].to_numpy()[rows], return_index=True, return_inverse=True)
    of_gaps = np.repeat(of_rows.astype(np.int32), gaps.lengths) if len(kinds) > 1 else of_rows[:1]
    found_gaps, found_kinds, found_tokens, occurrences = fold(gaps.values, of_gaps, tokens)
    examples: Any = pa.array(rows[firsts][found_kinds])
    count: Any = pa.nulls(len(found_gaps), pa.int32()) if found_tokens is None else pa.array(found_tokens, pa.int32())
    columns = {
        "level_no": batch["level_no"].take(examples),
        "gap_us": pa.array(found_gaps, pa.int32()),
        "chunk_tokens": count,
        "mean_tokens": batch["mean_tokens"].take(examples),
        "occurrences": pa.array(occurrences, pa.int64()),
    }
    return pa.StructArray.from_arrays([columns[field.name] for field in _COUNT], fields=list(_COUNT))


def _arrivals(batch: pa.RecordBatch, gaps: Lists, tokens: Lists) -> Any:
    """Rows of `arrivals`: a request and an edge that it streams across."""
    edges, reached_us = _lists(batch["edges"]), _lists(batch["reached_us"])
    crossing = np.flatnonzero(edges.lengths)
    lists = np.repeat(np.arange(len(crossing)), edges.lengths[crossing])
    before = gaps[crossing].fitting(lists, reached_us.values)
    requests: Any = pa.array(crossing[lists])
    of_tokens = tokens[crossing]
    unknown = of_tokens.lengths[lists] == 0
    columns = {name: batch[name].take(requests) for name in ("level_no", "shard", "request_index")} | {
        "edge": pa.array(edges.values),
        "gaps_before": pa.array(before),
        # one chunk more than gaps: the first comes before any
        "tokens_before": pa.array(of_tokens.sums(lists, before + 1), mask=unknown),
        "tokens_in_all": pa.array(of_tokens.sums(lists, of_tokens.lengths[lists]), mask=unknown),
    }
    arrays = [columns[field.name].cast(field.type) for field in _ARRIVAL]
    return pa.StructArray.from_arrays(arrays, fields=list(_ARRIVAL))
