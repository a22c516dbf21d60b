"""The benchmarks of the client do what their tables say; how fast is not asked here."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks import busy, ceiling, client, endpoint, open_loop, peers, sharing
from benchmarks.child import run
from benchmarks.clients import Streams
from benchmarks.peer_tools import Told
from benchmarks.shards import Level, work
from benchmarks.tables import Section, as_text
from loadgen.spec import Shape
from schemas.catalog_files import load


def test_each_client_sends_all_requests_and_is_compared_with_the_endpoints_log() -> None:
    section = client.table([(3, ("bare", "ratecard", "httpx"))], rounds=2, output_tokens=2)
    rows: list[Any] = list(section.rows)
    bare, ours, httpx = rows
    assert [row.client for row in rows] == ["bare", "ratecard", "httpx"]
    assert {row.requests for row in rows} == {6}
    assert bare.cpu_vs_bare == httpx.cpu_vs_httpx == 1.0
    assert bare.ttft_error_ms is None
    assert ours.client_ttft_ms == pytest.approx(ours.true_ttft_ms + ours.ttft_error_ms)
    assert ours.true_ttft_ms >= 200
    assert all(math.isfinite(row.itl_p99_error_ms) for row in (ours, httpx))
    assert ours.cpu_share is not None


def test_a_clients_failed_requests_are_told_beside_the_figures_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    # each third of 6 answers is cut in its first event
    reference = endpoint.reference
    cuts, fails = ("--fault", "cut:tokens=1", "--fault-every", "3"), ("--fault", "500")
    monkeypatch.setattr(endpoint, "reference", partial(reference, options=cuts))
    section = client.table([(2, ("httpx",))], rounds=3, output_tokens=2)
    (row,) = section.rows
    assert math.isfinite(row.ttft_error_ms)
    (note,) = section.notes
    assert note.startswith("httpx at 2 streams: 2 of 6 requests failed: httpx.RemoteProtocolError (peer closed")
    monkeypatch.setattr(endpoint, "reference", partial(reference, options=fails))
    with pytest.raises(RuntimeError, match=r"^httpx: all 1 requests failed: httpx.HTTPStatusError \(.*500"):
        client.table([(1, ("httpx",))], rounds=1, output_tokens=1)


def test_a_client_that_is_not_installed_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    section = client.table([(1, ("httpx-aiohttp",))], rounds=1)
    assert as_text(section).splitlines()[1:] == ["httpx-aiohttp is left out: the package is not installed"]


def test_a_client_that_fails_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"exited 3: no such thing"):
        run(["sh", "-c", "echo no such thing >&2; exit 3"], tmp_path / "out")


def test_a_worker_whose_requests_fail_is_an_error(tmp_path: Path) -> None:
    level = Level(Shape(kind="closed", concurrency=1), requests=1, output_tokens=1)
    with pytest.raises(RuntimeError, match=r"expected \{'ok': 1\}, found \{'connect_error': 1\}"):
        work("http://127.0.0.1:9/v1", level, tmp_path)


def test_busy_processes_end_with_the_block() -> None:
    with busy.hogs(2) as pids:
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_requests_in_flight_are_counted_while_requests_are_sent() -> None:
    # one from 0 to 10, one from 4 to 8, one from 10: 1 for 4, 2 for 4, 1 for 2 -> 14 / 10
    measured = pl.DataFrame({"sent_ns": [0, 4, 10], "closed_ns": [10, 8, 20]})
    assert open_loop.in_flight(measured) == (1.4, 2)


def test_the_endpoints_lateness_counts_from_the_requests_arrival() -> None:
    # came at 0 with tokens due at 200 and 220 ms, which left at 201 and 223; the other came at 50 and is on time
    truth = pl.DataFrame({
        "prompt_sha256": ["a", "b"],
        "sent_ns": [[201_000_000, 223_000_000], [250_000_000, 270_000_000]],
        "ttft_ms": [201.0, 200.0],
    })  # fmt: skip
    assert ceiling.late_ms(truth).to_list() == [1.0, 3.0, 0.0, 0.0]


@pytest.mark.parametrize(("by_request", "itl_error_ms"), [(False, 0.2), (True, 5.1)])
def test_a_peers_itl_is_compared_with_the_truth_of_its_own_kind(by_request: bool, itl_error_ms: float) -> None:
    # true gaps 10, 30, 20, 20 ms: p99 at position 2.97 = 29.7; the mean of each request is 20 ms
    truth = pl.DataFrame({"ttft_ms": [200.0, 202.0], "gaps_ms": [[10.0, 30.0], [20.0, 20.0]]})
    told = Told("1", 2, 211.0, 213.0, 29.9 if not by_request else 25.1, by_request)
    row = peers.row("peer 1", Streams(2, 2), told, truth)
    assert row.ttft_error_ms == pytest.approx(10.0)
    assert row.itl_p99_error_ms == pytest.approx(itl_error_ms)


def test_each_build_that_is_timed_makes_the_tables_of_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.sharing.REPEATS", 2)
    row = sharing.measure(2_000, load(Path(__file__).parents[1] / "catalog"), None)
    assert row.requests == 2_000 and row.slos and row.times_s > 0 and row.shares_s > 0


def test_a_table_without_rows_is_its_title_and_notes() -> None:
    assert as_text(Section("name", "title", [], ("why",))) == "title\nwhy"
