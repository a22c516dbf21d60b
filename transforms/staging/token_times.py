"""staging.token_times: time a token of the gaps of spread levels, where gap and mean tokens fold into no fewer rows.

grain: level_no, token_ms

columns: of the ok requests sent in the window of staging.spread_levels: token_ms, a gap over its request's mean tokens a
chunk, and occurrences. Exact at the ranks of the kept percentiles, with failures as infinite times and without; elsewhere
a row stands for some neighbours, as their mean. So percentiles and means are those of all gaps.

The files are read twice: which times are near those ranks is known only when all have been counted (ADR 0008).
"""

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np

from transforms.folding import Integers
from transforms.ranked import Binned, Floats, Tally, bins_of
from transforms.trace_lists import plain_memory, read

READS = ("staging.requests", "staging.spread_levels", "staging.statistics")

_GAPS_AT_ONCE = 2**17
_TABLE = "create or replace table staging.token_times (level_no bigint, token_ms double, occurrences bigint)"
_LEVELS = "select level_no, failed, succeeded from staging.spread_levels order by level_no"
_STREAMS = """
select
    cast(file as varchar) as file,
    list(row_no order by row_no) as rows,
    list(mean_chunk_tokens order by row_no) as means,
from staging.requests
where level_no = ? and is_ok and sent_in_window and token_chunks > 1 and mean_chunk_tokens > 0
group by file
order by file
"""

Streams = list[tuple[str, Integers, Floats]]
"""File; numbers of rows in it; their mean tokens a chunk."""


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table `staging.token_times`."""
    con.execute(_TABLE)
    probabilities = np.array([p for (p,) in con.execute("select probability from staging.statistics").fetchall()])
    for level_no, failed, succeeded in con.execute(_LEVELS).fetchall():
        found = con.sql(_STREAMS, params=[level_no]).to_arrow_table()
        streams = [
            (str(file), rows.values.to_numpy(), means.values.to_numpy())
            for file, rows, means in zip(found["file"].to_pylist(), found["rows"], found["means"], strict=True)
        ]
        with plain_memory():
            times, occurrences = _times(streams, probabilities, failed, succeeded)
        _write(con, level_no, times, occurrences)


def _times(streams: Streams, probabilities: Floats, failed: int, succeeded: int) -> tuple[Floats, Integers]:
    """Times and how often each came; see the table."""
    binned, exact = Binned(), Tally()
    for samples in _samples(streams):
        binned.add(samples)
    many = int(binned.counts.sum())
    apart = binned.holding(_ranks(probabilities, many, failed, succeeded))
    for samples in _samples(streams):
        exact.add(samples[apart[bins_of(samples)]])
    (means, of_bins), (times, of_times) = binned.means(apart), exact.counted()
    return np.concatenate([means, times]), np.concatenate([of_bins, of_times])


def _samples(streams: Streams) -> Iterator[Floats]:
    for file, rows, means in streams:
        done = 0
        for many, [gaps] in read(file, rows, ("gaps_us",), _GAPS_AT_ONCE):
            yield gaps.values / 1000 / np.repeat(means[done : done + many], gaps.lengths)
            done += many


def _ranks(probabilities: Floats, many: int, failed: int, succeeded: int) -> Integers:
    """Ranks among `many` samples between which staging.latency_statistics interpolates, counted from 0."""
    infinite = failed * max(1, int(many / succeeded + 0.5))
    wanted = np.concatenate([probabilities * (many - 1), probabilities * (many + infinite - 1)])
    ranks: Integers = np.concatenate([np.floor(wanted), np.ceil(wanted)]).astype(np.int64)
    return ranks[(ranks >= 0) & (ranks < many)]


def _write(con: duckdb.DuckDBPyConnection, level_no: int, times: Floats, occurrences: Integers) -> None:
    columns: dict[str, Any] = {"token_ms": times, "occurrences": occurrences}
    con.register("times", columns)
    con.execute("insert into staging.token_times select ?, token_ms, occurrences from times", [level_no])
    con.unregister("times")
