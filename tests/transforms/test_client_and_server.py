"""What the client and the server say of themselves, beside and against an operating point; numbers by hand."""

from typing import Any

import pytest

from tests.transforms.factory import Given
from warehouse.calibration import ITL_BOUND_MS, TTFT_BOUND_MS

# closed_loop(2, 8): 16 requests of 1 s, window from 1.5 s to 7.5 s, 13 of them sent in it (test_operating_points.py)
MS = 1_000_000

WANTED = ("curated.runs", "curated.client_health", "curated.server_metrics", "curated.operating_points")


def sent_at(given: Given, *sent_ms: float) -> list[dict[str, Any]]:
    """The raw rows sent at these instants."""
    return [row for row in given.rows["request_traces"] if row["sent_ns"] in [at * MS for at in sent_ms]]


def delayed(row: dict[str, Any], ms: float, **changes: Any) -> None:
    """Sent so much later than it was scheduled."""
    row.update(scheduled_ns=row["sent_ns"] - round(ms * MS), **changes)


def test_late_sends_of_the_window_make_a_point_client_bound(given: Given) -> None:
    # Late are those at 2 s (6 ms) and at 3 s (26 ms, 20 of them connecting); not those at 4 s (5 ms sharp) and 5 s
    # (26 ms, 22 of them connecting); the one at 0 s lies before the window. 2 of 13 sent in it.
    given.run().closed_loop(2, 8)
    for row, ms, connect_ms in zip(
        sent_at(given, 0, 2000, 3000, 4000, 5000), (50, 6, 26, 5, 26), (None, None, 20, None, 22), strict=True
    ):
        delayed(row, ms, connect_ns=connect_ms and connect_ms * MS)
    given.build()
    point = given.point("late_send_share, connection_reuse_share, validity")
    assert point == {
        "late_send_share": pytest.approx(2 / 13),
        "connection_reuse_share": pytest.approx(11 / 13),
        "validity": "client_bound",
    }


def test_one_late_send_in_a_hundred_is_no_reason(given: Given) -> None:
    # 101 requests one after another, 100 of them sent in the window
    given.run().closed_loop(1, 101)
    delayed(sent_at(given, 50_000)[0], 6)
    given.build()
    assert given.point("late_send_share, validity") == {"late_send_share": pytest.approx(0.01), "validity": "valid"}


def test_merged_reads_are_a_share_of_the_windows_reads(given: Given) -> None:
    # 13 requests of 10 reads; one of them had 4 merged. The merged reads before the window do not count.
    given.run().closed_loop(2, 8)
    sent_at(given, 0)[0].update(merged_reads=9)
    sent_at(given, 2000)[0].update(merged_reads=4)
    given.build()
    assert given.point("merged_read_share") == {"merged_read_share": pytest.approx(4 / 130)}


def test_the_round_trip_is_the_median_of_the_windows_seconds(given: Given) -> None:
    # in the window: 0.2, 0.4 and 0.9 ms, and a worker that does not know; before and after it: large ones
    given.run().closed_loop(2, 8)
    for second, rtt_ms in ((1, 50.0), (2, 0.4), (3, None), (4, 0.9), (7, 0.2), (8, 50.0)):
        given.health(second, tcp_rtt_ms=rtt_ms)
    given.build()
    assert given.point("tcp_rtt_ms, clock_step_ms") == {"tcp_rtt_ms": pytest.approx(0.4), "clock_step_ms": 0.0}


@pytest.mark.parametrize(("step_ms", "validity"), [(50.0, "valid"), (-50.1, "clock_suspect"), (80.0, "clock_suspect")])
def test_a_wall_clock_that_was_stepped_makes_the_level_suspect(given: Given, step_ms: float, validity: str) -> None:
    given.run().closed_loop(2, 8).health(2, clock_step_ms=3.0).health(8, clock_step_ms=step_ms, shard=1).build()
    assert given.point("clock_step_ms, validity") == {"clock_step_ms": step_ms, "validity": validity}


@pytest.mark.parametrize(
    ("errors", "validity"),
    [
        ({"ttft": TTFT_BOUND_MS, "itl": -ITL_BOUND_MS}, "valid"),
        ({"ttft": -TTFT_BOUND_MS - 0.01, "itl": 0.0}, "clock_suspect"),
        ({"ttft": 0.0, "itl": ITL_BOUND_MS + 0.01}, "clock_suspect"),
        ({"ttft": None, "itl": None}, "valid"),  # a night without calibration
    ],
)
def test_a_calibration_error_above_its_bound_makes_the_night_suspect(
    given: Given, errors: dict[str, float | None], validity: str
) -> None:
    columns = {f"calibration_{metric}_error_p50_ms": error for metric, error in errors.items()}
    given.run(**columns).closed_loop(2, 8).build()
    assert given.point("validity") == {"validity": validity}
    assert given.one("select calibration_ttft_error_p50_ms as e from curated.runs") == {"e": errors["ttft"]}


@pytest.mark.parametrize(
    ("reason", "status", "validity"),
    [("over_saturated", "stopped", "unsteady"), ("duration", "failed", "unsteady"), ("duration", "complete", "valid")],
)
def test_an_open_loop_that_was_over_saturated_or_lost_a_worker_is_unsteady(
    given: Given, reason: str, status: str, validity: str
) -> None:
    given.run().level(load_kind="open", concurrency=None, request_rate=2.0, stop_reason=reason, status=status)
    for turn in range(61):
        given.request(turn * 500, load_kind="open", concurrency=None, request_rate=2.0)
    given.build()
    assert given.point("validity") == {"validity": validity}


def test_the_servers_figures_are_those_of_the_scrapes_in_the_window(given: Given) -> None:
    # In the window: 2, 4 and 7 s. Running (2 + 4 + 6) / 3, waiting (0 + 3 + 0) / 3, KV cache at most 0.9.
    # Queries 100 -> 500, hits 50 -> 150: 100 / 400. The mean that the engine makes itself is not needed.
    given.run().closed_loop(2, 8)
    for second, running, waiting, kv, queries, hits in (
        (1, 99, 99, 1.0, 0, 0), (2, 2, 0, 0.5, 100, 50), (4, 4, 3, 0.9, 300, 100), (7, 6, 0, 0.8, 500, 150),
        (8, 99, 99, 1.0, 900, 900),
    ):  # fmt: skip
        given.scrape(
            second, requests_running=float(running), requests_waiting=float(waiting), kv_cache_usage=kv,
            prefix_cache_queries=float(queries), prefix_cache_hits=float(hits), prefix_cache_hit_share=0.9,
        )  # fmt: skip
    given.build()
    assert given.point(
        "server_running_mean, server_waiting_mean, kv_cache_usage_max, server_prefix_cache_hit_share"
    ) == {
        "server_running_mean": 4.0, "server_waiting_mean": 1.0, "kv_cache_usage_max": 0.9,
        "server_prefix_cache_hit_share": 0.25,
    }  # fmt: skip


def test_an_engine_without_counters_or_started_anew_gives_the_mean_of_its_gauge(given: Given) -> None:
    given.run().closed_loop(2, 8)
    given.scrape(2, prefix_cache_hit_share=0.2, prefix_cache_queries=500.0, prefix_cache_hits=400.0)
    given.scrape(4, prefix_cache_hit_share=0.4, prefix_cache_queries=10.0, prefix_cache_hits=5.0)
    given.build()
    assert given.point("server_prefix_cache_hit_share") == {"server_prefix_cache_hit_share": pytest.approx(0.3)}


def test_joules_a_token_are_the_energy_between_the_scrapes_over_their_time_and_the_tokens(given: Given) -> None:
    # 1,500 J between the scrapes of 2 s and 7 s are 300 W, whatever the power read at those moments. Two slots with a
    # request of 10 tokens a second each: 20 tokens/s, so 300 / 20 J a token and 20 / 0.0003 tokens/s a megawatt.
    given.run().closed_loop(2, 8)
    for second, energy_j in ((1, 0), (2, 1000), (4, 1100), (7, 2500), (8, 9000)):
        given.scrape(second, gpu_power_w=999.0, gpu_energy_mj=energy_j * 1e3)
    given.build()
    assert given.point("gpu_power_w, output_tps, joules_per_output_token, output_tps_per_mw") == {
        "gpu_power_w": pytest.approx(300), "output_tps": pytest.approx(20), "joules_per_output_token": pytest.approx(15),
        "output_tps_per_mw": pytest.approx(66_666.7, abs=0.1),
    }  # fmt: skip
    joules, total_tps = given.point("joules_per_token, total_tps").values()
    assert joules == pytest.approx(300 / total_tps)


def test_of_cards_without_a_counter_or_started_anew_the_mean_of_the_power_counts(given: Given) -> None:
    given.run().closed_loop(2, 8)
    given.scrape(2, gpu_power_w=100.0, gpu_energy_mj=5e6)
    given.scrape(4, gpu_power_w=300.0, gpu_energy_mj=1e3)
    given.build()
    assert given.point("gpu_power_w") == {"gpu_power_w": 200.0}


def test_power_of_one_of_several_instances_gives_no_joules(given: Given) -> None:
    given.run(instances_measured=2).closed_loop(2, 8)
    given.scrape(4, gpu_power_w=300.0)
    given.build()
    assert given.point("gpu_power_w, joules_per_output_token") == {
        "gpu_power_w": 300.0, "joules_per_output_token": None,
    }  # fmt: skip


def test_a_night_without_samples_has_nulls_and_is_valid(given: Given) -> None:
    given.run().closed_loop(2, 8).build()
    nulls = (
        "tcp_rtt_ms",
        "clock_step_ms",
        "server_running_mean",
        "kv_cache_usage_max",
        "server_prefix_cache_hit_share",
    )
    assert given.point(", ".join(nulls)) == dict.fromkeys(nulls)
    assert given.point("validity") == {"validity": "valid"}


def test_samples_are_shown_with_the_point_that_they_belong_to(given: Given) -> None:
    given.run(attempt=1, status="interrupted").closed_loop(2, 8)
    given.run(attempt=2).closed_loop(2, 8, attempt=2)
    given.health(2).health(2, attempt=2).health(0, attempt=2, level_index=0)
    given.scrape(2).scrape(2, run_id="not closed")
    given.build()
    assert given.all("select operating_point_id, is_current from curated.client_health order by all") == [
        {"operating_point_id": "run-a1-l1", "is_current": False},
        {"operating_point_id": "run-a2-l1", "is_current": True},
        {"operating_point_id": None, "is_current": True},  # the probe
    ]
    assert given.all("select operating_point_id from curated.server_metrics") == [{"operating_point_id": "run-a1-l1"}]
