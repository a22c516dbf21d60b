"""staging.gap_folds: the one pass over every gap between token chunks: how often each came, and what came by an edge.

grain: row_no

columns: level_no. Of the ok requests sent in the window: gap_us, chunk_tokens, tokens of the later chunk, and
mean_tokens, tokens a chunk of the request where only that mean is known (both null where the server gave no token
count, and in spread levels, whose times a token are in staging.token_times), and occurrences of that combination. Of
each ok request that streams across an edge of the window's slices: shard, request_index, edge, gaps_before it, and the
tokens of the chunks before it, tokens_before, and of all, tokens_in_all, null where they are not known. Columns of the
other kind of row are null.

Whole microseconds fold into few rows, which later steps can weigh and sort for little. Why not SQL: grouping rows takes
three times as long as reading them, and would be a second pass for the arrivals (ADR 0008).
"""

from collections.abc import Iterator

import duckdb
import numpy as np

from transforms.folding import Integers, Lists
from transforms.gap_counts import Columns, Counts, taken
from transforms.trace_lists import plain_memory, read

READS = ("staging.requests", "staging.spread_levels", "staging.window_edges")

_GAPS_AT_ONCE, _WORTH_COUNTING, _ROWS_AT_ONCE = 2**18, 2**16, 2**20
_TABLE = """
create or replace table staging.gap_folds (
    row_no bigint, level_no bigint,
    gap_us integer, chunk_tokens integer, mean_tokens double, occurrences bigint,
    shard integer, request_index bigint, edge bigint, gaps_before bigint, tokens_before bigint, tokens_in_all bigint
)
"""
_ONCE_EACH = """
create or replace table staging.gap_folds as
select
    min(row_no) as row_no,
    level_no,
    gap_us,
    chunk_tokens,
    mean_tokens,
    cast(sum(occurrences) as bigint) as occurrences,
    shard,
    request_index,
    edge,
    gaps_before,
    tokens_before,
    tokens_in_all,
from staging.gap_folds
group by all
"""
_FILES = "select cast(file as varchar), count(*) from staging.requests where is_ok group by file order by file"
_STREAMS = """
select
    row_no,
    level_no,
    shard,
    request_index,
    coalesce(first_token_ns, 0) as first_token_ns,
    coalesce(last_token_ns, 0) as last_token_ns,
    case when spread.level_no is null then mean_chunk_tokens end as mean_tokens,
    hash(level_no, mean_tokens) as kind_no,
    sent_in_window and coalesce(token_chunks, 0) > 1 as is_pooled,
    output_tokens is not null as has_tokens,
from staging.requests
left join staging.spread_levels as spread using (level_no)
where is_ok
order by file, row_no
"""
_EDGES = "select level_no, edge, edge_ns from staging.window_edges"


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table `staging.gap_folds`."""
    con.execute(_TABLE)
    rows = _Rows(con)
    counts = Counts(rows.add)
    edge_ns = _edge_ns(con)
    with plain_memory():
        for streams, gaps, tokens in _batches(con, edge_ns):
            counts.add(streams, gaps, tokens)
            rows.add(_arrivals(streams, gaps, tokens, edge_ns))
    counts.close()
    rows.write()
    if counts.came_again:
        con.execute(_ONCE_EACH)


def _columns(con: duckdb.DuckDBPyConnection, query: str) -> Columns:
    found = con.sql(query).to_arrow_table()
    return {name: found[name].to_numpy() for name in found.column_names}


def _edge_ns(con: duckdb.DuckDBPyConnection) -> Integers:
    """When each edge of each level's window is, by level_no and edge; before all time in a level without a window."""
    edges = _columns(con, _EDGES)
    [(levels,)] = con.execute("select coalesce(max(level_no), 0) from staging.requests").fetchall()
    edge_ns = np.full((levels + 1, max(edges["edge"], default=-1) + 1), -1)
    edge_ns[edges["level_no"], edges["edge"]] = edges["edge_ns"]
    return edge_ns


def _batches(con: duckdb.DuckDBPyConnection, edge_ns: Integers) -> Iterator[tuple[Columns, Lists, Lists]]:
    """Streams with their gaps and tokens, about so many gaps at a time as are counted in one go, from one file or more."""
    every, first = _columns(con, _STREAMS), 0
    waiting: list[tuple[Columns, list[Lists]]] = []
    for file, count in con.execute(_FILES).fetchall():
        streams = _crossing(taken(every, slice(first, first + count)), edge_ns)
        first += count
        streams = taken(streams, streams["is_pooled"] | (streams["edges_crossed"] > 0))
        done, rows = 0, streams["row_no"]
        for many, lists in read(file, rows, ("gaps_us", "chunk_tokens"), _GAPS_AT_ONCE):
            waiting.append((taken(streams, slice(done, done + many)), lists))
            done += many
            # the level of a file is better not counted with the next one's
            enough = _WORTH_COUNTING if done == len(rows) else _GAPS_AT_ONCE
            if sum(len(gaps.values) for _, (gaps, _) in waiting) >= enough:
                yield _together(waiting)
                waiting = []
    if waiting:
        yield _together(waiting)


def _together(waiting: list[tuple[Columns, list[Lists]]]) -> tuple[Columns, Lists, Lists]:
    streams, lists = zip(*waiting, strict=True)
    gaps, tokens = (Lists.joined(parts) for parts in zip(*lists, strict=True))
    return {name: np.concatenate([part[name] for part in streams]) for name in streams[0]}, gaps, tokens


def _crossing(streams: Columns, edge_ns: Integers) -> Columns:
    """`streams`, and the first edge that each streams across, and how many."""
    edges = edge_ns[streams["level_no"]]
    first, end = (np.sum(edges < streams[name][:, None], axis=1) for name in ("first_token_ns", "last_token_ns"))
    return streams | {"first_edge": first, "edges_crossed": np.maximum(end - first, 0)}


def _arrivals(streams: Columns, gaps: Lists, tokens: Lists, edge_ns: Integers) -> Columns:
    """Rows of the table: a request and an edge that it streams across."""
    crossing = np.flatnonzero(streams["edges_crossed"])
    streams = taken(streams, crossing)
    edges = Lists.counting(streams["first_edge"], streams["edges_crossed"])
    lists = np.repeat(np.arange(len(crossing)), edges.lengths)
    streams = taken(streams, lists)
    reached_us = (edge_ns[streams["level_no"], edges.values] - streams["first_token_ns"]) // 1000
    before = gaps[crossing].fitting(lists, reached_us)
    of_tokens = tokens[crossing]
    unknown = of_tokens.lengths[lists] == 0
    return {name: streams[name] for name in ("level_no", "shard", "request_index")} | {
        "edge": edges.values,
        "gaps_before": before,
        # one chunk more than gaps: the first comes before any
        "tokens_before": np.where(unknown, -1, of_tokens.sums(lists, before + 1)),
        "tokens_in_all": np.where(unknown, -1, of_tokens.sums(lists, of_tokens.lengths[lists])),
    }


class _Rows:
    """Rows of the table, which are written many at a time: each statement has a cost of its own."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con, self._many, self._written = con, 0, 0
        self._waiting: dict[tuple[str, ...], list[Columns]] = {}

    def add(self, rows: Columns) -> None:
        """Keep rows of some columns of the table; a negative number stands for null."""
        rows["row_no"] = np.arange(self._many, self._many + len(rows["level_no"]))
        self._waiting.setdefault(tuple(rows), []).append(rows)
        self._many += len(rows["row_no"])
        if self._many - self._written > _ROWS_AT_ONCE:
            self.write()

    def write(self) -> None:
        """Write those that wait."""
        for names, parts in self._waiting.items():
            self._con.register("gap_rows", {name: np.concatenate([part[name] for part in parts]) for name in names})
            columns = ", ".join(f"case when {name} >= 0 then {name} end as {name}" for name in names)
            self._con.execute(f"insert into staging.gap_folds by name select {columns} from gap_rows")
            self._con.unregister("gap_rows")
        self._waiting, self._written = {}, self._many
