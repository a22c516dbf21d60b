"""The frontier against brute force, on random points with many ties."""

from typing import Any

import duckdb
import pytest
from hypothesis import given as random
from hypothesis import settings
from hypothesis import strategies as st

from schemas.columns import OPERATING_POINTS
from tests.transforms.factory import Given
from transforms.table_files import discover

WANTED = ("curated.operating_points", "curated.pareto_frontier")

POINTS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(1, 5)), st.one_of(st.none(), st.integers(1, 5)), st.integers(0, 1)),
    max_size=12,
)


def frontier(points: list[tuple[int | None, int | None, int]]) -> list[dict[str, Any]]:
    """Run the SQL of the table on points of TTFT, request rate and night alone."""
    with duckdb.connect() as con:
        con.execute("attach ':memory:' as staging; create schema curated")
        columns = ", ".join(f'"{column.name}" {column.type}' for column in OPERATING_POINTS.columns)
        con.execute(f"create table curated.operating_points ({columns})")
        con.execute("create table staging.levels (operating_point_id varchar, level_no bigint)")
        con.execute(
            "create table staging.latency_statistics (level_no bigint, metric varchar, statistic varchar, value double)"
        )
        for number, (latency, rate, night) in enumerate(points):
            con.execute(
                "insert into curated.operating_points by name select ? as operating_point_id, 'm' as model, "
                "'w' as workload, timestamp '2026-06-01' + to_days(?) as night, true as is_valid, true as is_current, "
                "?::double as request_rps_per_gpu",
                [f"p{number:02}", night, rate],
            )
            con.execute("insert into staging.levels values (?, ?)", [f"p{number:02}", number])
            for metric, value in (("ttft", latency), ("interactivity", latency)):
                con.execute("insert into staging.latency_statistics values (?, ?, 'p50', ?)", [number, metric, value])
        result = con.execute(discover()["curated.pareto_frontier"].sql)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def beats(better: tuple[float, float], other: tuple[float, float], sign: int) -> bool:
    """As much throughput at as good latency, one of them strictly better; `sign` -1: higher latency is better."""
    return (
        better[1] >= other[1]
        and sign * better[0] <= sign * other[0]
        and (better[1] > other[1] or sign * better[0] < sign * other[0])
    )


@settings(max_examples=40)
@random(POINTS)
def test_the_frontier_is_what_brute_force_finds(points: list[tuple[int | None, int | None, int]]) -> None:
    known = {
        f"p{number:02}": (latency, rate, night)
        for number, (latency, rate, night) in enumerate(points)
        if latency is not None and rate is not None
    }
    rows = frontier(points)
    assert len(rows) == 2 * len(known)  # a null metric leaves the frontier; ttft and interactivity
    for row in rows:
        sign = 1 if row["latency_metric"] == "ttft" else -1
        latency, rate, night = known[row["operating_point_id"]]
        rivals = {
            name
            for name, (other, other_rate, other_night) in known.items()
            if other_night == night and beats((other, other_rate), (latency, rate), sign)
        }
        assert row["is_on_frontier"] == (not rivals)
        assert (row["dominated_by"] is None) if not rivals else (row["dominated_by"] in rivals)


def test_invalid_and_superseded_points_are_not_compared(given: Given) -> None:
    given.run(attempt=1).closed_loop(1, 12, attempt=1)
    given.run(attempt=2).closed_loop(1, 12, attempt=2)
    given.closed_loop(2, 12, attempt=2, level_index=2, clock_suspect=True).build()
    rows = given.all("select distinct operating_point_id from curated.pareto_frontier")
    assert rows == [{"operating_point_id": "run-a2-l1"}]


def test_throughput_is_compared_per_gpu_and_interactivity_names_its_low_percentile(given: Given) -> None:
    # The same 1 request/s on one GPU and on four: 1 against 0.25 a GPU at equal latency
    given.run(run_id="one", endpoint="one").closed_loop(1, 30, run="one")
    given.run(run_id="four", endpoint="four", gpus_per_instance=4).closed_loop(1, 30, run="four")
    given.build()
    rows = given.all(
        "select endpoint, statistic, throughput_per_gpu, dominated_by from curated.pareto_frontier "
        "where latency_metric = 'interactivity' and throughput_metric = 'request_rps' and statistic = 'p25' order by 1"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("four", "p25", pytest.approx(0.25), "one-a1-l1"),
        ("one", "p25", pytest.approx(1.0), None),
    ]
