"""Processor sharing: who held the instance's time, request by request, in numbers worked out by hand."""

from datetime import timedelta
from typing import Any

import pytest

from tests.transforms.factory import NIGHT, Given

WANTED = ("curated.time_shares",)

A = {"ttft_ms": 200, "gaps_ms": (40,) * 9, "close_ms": 40}
"""Sent at 0 s: first token at 0.2 s, closed at 0.6 s."""
B = {"ttft_ms": 100, "gaps_ms": (30,) * 9, "close_ms": 30}
"""Sent at 0.4 s: first token at 0.5 s, closed at 0.8 s."""


def overlapping(given: Given, seconds: int = 10, b: dict[str, Any] | None = None) -> Given:
    """An A at each whole second, a B 0.4 s later; the window is from the first A to the last one, `seconds` later.

    A second of it: A alone for 0.4 s, half of it before its first token; both for 0.2 s, A 0.1 and B 0.1, of which 0.05
    before its first token; B alone for 0.2 s; nothing for 0.2 s. So A holds 0.2 + 0.3 s, B 0.05 + 0.25 s.
    """
    given.run()
    changes: dict[str, Any] = {"load_kind": "open", "concurrency": None, "request_rate": 2.0}
    for second in range(seconds + 1):
        given.request(1000 * second, **A, **changes)
        if second < seconds:
            given.request(1000 * second + 400, **B, **changes, **(b or {}))
    return given


def the_b_at(given: Given, second: int) -> dict[str, Any]:
    """The trace row of a B."""
    row = given.rows["request_traces"][2 * second + 1]
    assert row["scheduled_ns"] == (1000 * second + 400) * 1_000_000
    return row


def shares(given: Given) -> dict[str, Any]:
    """The only row of time_shares."""
    return given.one("from curated.time_shares")


def test_requests_in_flight_share_each_instant_equally(given: Given) -> None:
    # 10 s: 0.2 + 0.05 before first tokens, 0.3 + 0.25 after them, 0.2 idle, each second. The last A is sent as the
    # window ends: it counts, and holds nothing.
    overlapping(given).slo().build()
    row = shares(given)
    assert (row["window_s"], row["idle_share"]) == (10.0, pytest.approx(0.2, rel=1e-12))
    assert (row["failed_share"], row["missed_share"]) == (0.0, 0.0)
    assert row["input_share"] == pytest.approx(0.25 / 0.8, rel=1e-12)
    assert row["output_share"] == pytest.approx(0.55 / 0.8, rel=1e-12)
    counts = {"judged_requests": 21, "failed_requests": 0, "missed_requests": 0, "good_requests": 21}
    assert {name: row[name] for name in counts} == counts
    tokens = {"good_input_tokens": 2100, "good_cached_input_tokens": 0, "good_output_tokens": 210}
    assert {name: row[name] for name in tokens} == tokens
    assert (row["missed_input_tokens"], row["failed_output_tokens"]) == (0, 0)


def test_requests_that_miss_the_slo_hold_a_share_of_their_own(given: Given) -> None:
    # TTFT: A 200 ms misses, B 100 ms is good. A holds 0.5 of 0.8 s; of B's 0.3 s 0.05 are before the first token.
    overlapping(given).slo(("ttft", None, 150), attainment_share=0.4).build()
    row = shares(given)
    assert (row["failed_share"], row["missed_share"]) == (0.0, pytest.approx(0.5 / 0.8, rel=1e-12))
    assert row["input_share"] == pytest.approx(0.05 / 0.3, rel=1e-12)
    assert (row["missed_requests"], row["good_requests"]) == (11, 10)
    assert (row["missed_input_tokens"], row["good_output_tokens"]) == (1100, 100)


def test_a_failed_request_without_a_first_token_held_all_its_time_before_it(given: Given) -> None:
    # One B of 10 fails: 0.3 of 8 s. The good ones: 10 x (0.2 + 0.05) - 0.05 = 2.45 s of 7.7 s before first tokens
    overlapping(given).slo()
    the_b_at(given, 4).update(
        outcome="timeout", first_token_ns=None, last_token_ns=None, token_chunks=0, gaps_us=[], input_tokens=None,
        cached_input_tokens=None, output_tokens=None,
    )  # fmt: skip
    given.build()
    row = shares(given)
    assert row["failed_share"] == pytest.approx(0.3 / 8, rel=1e-12)
    assert row["input_share"] == pytest.approx(2.45 / 7.7, rel=1e-12)
    assert (row["failed_requests"], row["good_requests"]) == (1, 20)
    assert (row["failed_input_tokens"], row["failed_output_tokens"]) == (0, 0)  # nothing reported, nothing billed
    times = given.one("from staging.sharing_times where request_index = 9")
    assert times["output_units"] == 0
    assert times["input_units"] / times["units_per_ns"] == pytest.approx(0.3e9, rel=1e-12)


def test_a_cut_stream_is_billed_for_what_it_reported(given: Given) -> None:
    overlapping(given).slo()
    the_b_at(given, 4).update(outcome="truncated", cached_input_tokens=None, output_tokens=7, reasoning_tokens=None)
    given.build()
    row = shares(given)
    failed = [row[f"failed_{name}_tokens"] for name in ("input", "cached_input", "output", "reasoning")]
    assert (row["failed_share"], failed) == (pytest.approx(0.3 / 8, rel=1e-12), [100, 0, 7, 0])


def test_a_request_that_was_never_sent_failed_and_held_no_time(given: Given) -> None:
    # Without one B, A has the 0.1 s to itself that it had shared, B's 0.2 s are idle: 7.8 s held, 0.22 idle
    overlapping(given).slo()
    the_b_at(given, 4).update(
        outcome="connect_error", sent_ns=None, first_token_ns=None, last_token_ns=None, token_chunks=0, gaps_us=[]
    )
    given.build()
    row = shares(given)
    assert (row["failed_requests"], row["failed_share"]) == (1, 0.0)
    assert row["idle_share"] == pytest.approx(0.22, rel=1e-12)


def test_what_the_plan_cancelled_held_time_and_is_in_no_class(given: Given) -> None:
    # Same sweep and idle time; the classes split the 7.7 s of the others, A's 5 s miss
    overlapping(given).slo(("ttft", None, 150), attainment_share=0.4)
    the_b_at(given, 4).update(outcome="cancelled")
    given.build()
    row = shares(given)
    assert row["idle_share"] == pytest.approx(0.2, rel=1e-12)
    assert row["missed_share"] == pytest.approx(5 / 7.7, rel=1e-12)
    assert (row["judged_requests"], row["good_requests"]) == (20, 9)


def test_shards_with_epochs_of_their_own_are_one_level(given: Given) -> None:
    # The Bs come from a second worker whose clock counts from 3 s before: the figures are those of one worker
    overlapping(given, b={"shard": 1, "epoch_wall_at": NIGHT - timedelta(seconds=3)})
    for row in given.rows["request_traces"]:
        if row["shard"] == 1:
            for name in ("scheduled_ns", "sent_ns", "first_token_ns", "first_answer_ns", "last_token_ns", "closed_ns"):
                row[name] += 3_000_000_000
    given.slo().build()
    row = shares(given)
    assert row["idle_share"] == pytest.approx(0.2, rel=1e-12)
    assert row["input_share"] == pytest.approx(0.25 / 0.8, rel=1e-12)


def test_a_request_that_cannot_be_judged_leaves_the_split_unknown(given: Given) -> None:
    # Without a token count a B has no TPOT; the p50 of the others meets the SLO and the point is chosen
    overlapping(given).slo(("tpot", "p50", 100))
    the_b_at(given, 4).update(output_tokens=None)
    given.build()
    row = shares(given)
    unknown = ("failed_share", "missed_share", "input_share", "output_share", "missed_requests", "good_requests")
    assert [row[name] for name in (*unknown, "good_input_tokens", "missed_output_tokens")] == [None] * 8
    assert (row["judged_requests"], row["failed_requests"], row["failed_input_tokens"]) == (21, 0, 0)
    assert row["idle_share"] == pytest.approx(0.2, rel=1e-12)


def test_one_unknown_count_leaves_that_sum_unknown(given: Given) -> None:
    overlapping(given).slo(("ttft", None, 150), attainment_share=0.4)
    the_b_at(given, 4).update(cached_input_tokens=None)
    given.build()
    row = shares(given)
    assert (row["good_input_tokens"], row["good_cached_input_tokens"]) == (1000, None)
    assert (row["missed_cached_input_tokens"], row["good_reasoning_tokens"]) == (0, None)


def test_shares_are_only_of_chosen_points_and_judged_by_their_own_catalog(given: Given) -> None:
    overlapping(given)
    given.slo(slo="any").slo(("ttft", None, 1), slo="hard", attainment_share=0.9)
    given.slo(("ttft", None, 1), slo="any", catalog_hash="other").build()
    rows = given.all("select operating_point_id, slo, missed_share from curated.time_shares")
    assert rows == [{"operating_point_id": "run-a1-l1", "slo": "any", "missed_share": 0.0}]


@pytest.mark.parametrize("requests", [0, 1])
def test_a_level_without_a_window_has_no_shares(given: Given, requests: int) -> None:
    given.run().slo()
    for _ in range(requests):
        given.request(0)
    given.build()
    assert given.all("from curated.time_shares") == []
