"""The event sweep of processor sharing alone: odd cases by hand, any case against brute force, equal rebuilds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.table_files import discover

WANTED = ("staging.chosen_levels", "staging.level_idle", "staging.sharing_times")

Request = tuple[int, int | None, int]
"""Sent, first token, closed, in ns."""
SQL = {name: discover()[name].sql for name in ("staging.sharing_times", "staging.level_idle")}
WINDOW = (100, 200)


@contextmanager
def swept(levels: Sequence[tuple[tuple[int, int], Sequence[Request]]]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables of the sweep over levels, each a window and its requests, all of them of a chosen point."""
    with duckdb.connect() as con:
        con.execute("attach ':memory:' as staging")
        con.execute("create table staging.levels (level_no bigint, window_started_ns bigint, window_ended_ns bigint)")
        con.execute("""create table staging.requests (level_no bigint, shard integer, request_index bigint,
            sent_ns bigint, first_token_ns bigint, closed_ns bigint, is_in_flight_in_window boolean)""")
        for level, ((start, end), requests) in enumerate(levels):
            con.execute("insert into staging.levels values (?, ?, ?)", [level, start, end])
            for index, (sent, first, closed) in enumerate(requests):
                row = [level, index % 2, index // 2, sent, first, closed, closed > start and sent < end]
                con.execute("insert into staging.requests values (?, ?, ?, ?, ?, ?, ?)", row)
        con.execute("create view staging.chosen_levels as select level_no from staging.levels")
        sweep(con)
        yield con


def sweep(con: duckdb.DuckDBPyConnection) -> None:
    """Make the tables, as the build does."""
    for name, sql in SQL.items():
        con.execute(f"create or replace table {name} as {sql}")


def shares(requests: Sequence[Request], window: tuple[int, int] = WINDOW) -> tuple[dict[int, tuple[float, float]], int]:
    """Time before and after the first token of each request that held some, and idle time, in ns."""
    with swept([(window, requests)]) as con:
        held = con.execute("""select 2 * request_index + shard, input_units / units_per_ns, output_units / units_per_ns
            from staging.sharing_times""").fetchall()
        idle = con.execute("select idle_ns from staging.level_idle").fetchone()
    return {index: (before, after) for index, before, after in held}, int(idle[0]) if idle else 0


def brute_force(requests: Sequence[Request], window: tuple[int, int]) -> tuple[dict[int, list[Fraction]], int]:
    """The same, from every pair of neighbouring events and every request."""
    start, end = window
    edges = sorted({start, end, *(t for request in requests for t in request if t is not None and start < t < end)})
    held = {
        i: [Fraction(0), Fraction(0)] for i, (sent, _, closed) in enumerate(requests) if closed > start and sent < end
    }
    idle = 0
    for began, ended in pairwise(edges):
        here = [i for i, (sent, _, closed) in enumerate(requests) if sent <= began and ended <= closed]
        idle += 0 if here else ended - began
        for i in here:
            first = requests[i][1]
            held[i][first is not None and first <= began] += Fraction(ended - began, len(here))
    return held, idle


@pytest.mark.parametrize(("requests", "expected", "idle"), [
    pytest.param([(120, 130, 160)], {0: (10, 30)}, 60, id="alone between pauses"),
    pytest.param([(0, 50, 300)], {0: (0, 100)}, 0, id="spans the window"),
    pytest.param([(0, 150, 300), (0, 350, 400)], {0: (25, 25), 1: (50, 0)}, 0, id="span it, one before its first token"),
    pytest.param([(50, 60, 120), (180, 190, 250)], {0: (0, 20), 1: (10, 10)}, 60, id="straddle its ends"),
    pytest.param([(50, 60, 100), (200, 210, 250)], {}, 100, id="touch its ends from outside"),
    pytest.param([], {}, 100, id="none at all"),
    pytest.param([(100, None, 140)], {0: (40, 0)}, 60, id="without a first token"),
    pytest.param([(100, 150, 200), (100, 150, 200)], {0: (25, 25), 1: (25, 25)}, 0, id="twins"),
    pytest.param([(100, 110, 150), (150, 160, 200)], {0: (10, 40), 1: (10, 40)}, 0, id="one ends as the next begins"),
    pytest.param([(100, 150, 200), (130, 130, 130)], {0: (50, 50), 1: (0, 0)}, 0, id="of no length"),
    # a suspect clock: closed before it was sent, or a token outside of its request
    pytest.param([(100, 150, 200), (140, 150, 130)], {0: (50, 50), 1: (0, 0)}, 0, id="closed before sent"),
    pytest.param([(100, 90, 150), (150, 300, 200)], {0: (0, 50), 1: (50, 0)}, 0, id="first token outside"),
])  # fmt: skip
def test_the_sweep_by_hand(requests: list[Request], expected: dict[int, tuple[float, float]], idle: int) -> None:
    found, found_idle = shares(requests)
    assert found == {index: pytest.approx(pair, rel=1e-12) for index, pair in expected.items()}
    assert found_idle == idle


def test_three_share_and_each_step_is_rounded_far_below_a_nanosecond() -> None:
    # 100 ns over three: 33.3 each, in units of 1/4e16 ns
    found, _ = shares([(100, 150, 200)] * 3)
    assert [sum(pair) for pair in found.values()] == [pytest.approx(100 / 3, abs=1e-14)] * 3


TIMES = st.integers(0, 40)
REQUESTS = st.lists(
    st.tuples(TIMES, st.none() | TIMES, TIMES).map(lambda t: (min(t[0], t[2]), _within(t), max(t[0], t[2]))),
    max_size=12,
)


def _within(times: tuple[int, int | None, int]) -> int | None:
    return times[1] if times[1] is None else sorted(t for t in times if t is not None)[1]


@settings(max_examples=60)
@given(levels=st.lists(REQUESTS, min_size=1, max_size=3), scale=st.sampled_from([1, 7, 1_000_003, 10**12]))
def test_any_requests_hold_what_brute_force_finds(levels: list[list[Request]], scale: int) -> None:
    scaled = [[(s * scale, f if f is None else f * scale, c * scale) for s, f, c in level] for level in levels]
    window = (10 * scale, 30 * scale)
    with swept([(window, level) for level in scaled]) as con:
        found = {(level, index): pair for level, index, *pair in con.execute(
            """select level_no, 2 * request_index + shard, input_units / units_per_ns, output_units / units_per_ns
            from staging.sharing_times""").fetchall()}  # fmt: skip
        idle = dict(con.execute("select level_no, idle_ns from staging.level_idle").fetchall())
    for level, requests in enumerate(scaled):
        expected, expected_idle = brute_force(requests, window)
        assert {index for number, index in found if number == level} == set(expected)
        for index, pair in expected.items():
            assert found[level, index] == [pytest.approx(float(part), rel=1e-12, abs=1e-12 * scale) for part in pair]
        held = sum(sum(found[level, index]) for index in expected)
        assert idle[level] == expected_idle
        assert held + idle[level] == pytest.approx(20 * scale, rel=1e-12)


def test_a_rebuild_on_other_threads_is_equal() -> None:
    # 200,000 requests in one level, several hundred in flight, many events at one instant
    with swept([]) as con:
        con.execute("""insert into staging.requests select 1, i % 4, i, i * 1000, i * 1000 + hash(i) % 100 * 1000,
            i * 1000 + 100000 + hash(i + 1) % 400 * 1000, true from range(200000) as t (i)""")
        con.execute("insert into staging.levels values (1, 0, 200000000)")
        prints = set()
        for threads in (1, 4):
            con.execute(f"set threads = {threads}")
            sweep(con)
            prints.add(
                con.execute("""select bit_xor(hash(t)), sum(input_units), any_value(idle_ns), count(*)
                from staging.sharing_times as t cross join staging.level_idle""").fetchone()
            )
    assert len(prints) == 1
