"""What requests held of their instance by the cached share of their input, and what a cap on answers would cut."""

import pytest

from tests.transforms.factory import Given

WANTED = ("staging.cached_bands", "staging.output_budgets")


def bands(given: Given) -> dict[str, dict[str, float]]:
    """Rows by band."""
    return {row.pop("cached_band"): row for row in given.all("from staging.cached_bands order by band_no")}


def one_after_the_other(given: Given, cached: list[int | None]) -> Given:
    """One slot, a request a second on end: each holds all of its second. The first is warm-up to the window."""
    given.run(shares_prefix=True)
    for second, tokens in enumerate([0, *cached, 0]):
        given.request(1000 * second, cached_input_tokens=tokens)
    return given.slo()


def test_bands_include_their_upper_end(given: Given) -> None:
    # Of 100 tokens 0 | 1 and 25 | 26 and 50 | 51 and 75 | 76 and 100 are cached; the last request is sent as the window
    # ends: counted, without time in it. Each of the others held one second.
    one_after_the_other(given, [0, 1, 25, 26, 50, 51, 75, 76, 100]).build()
    found = bands(given)
    assert {band: row["requests"] for band, row in found.items()} == {
        "none": 2, "0-25 %": 2, "25-50 %": 2, "50-75 %": 2, "75-100 %": 2,
    }  # fmt: skip
    assert (found["0-25 %"]["cached_input_tokens_mean"], found["75-100 %"]["cached_input_tokens_mean"]) == (13, 88)
    assert found["75-100 %"]["seconds_per_request"] == pytest.approx(1.0)
    assert found["none"]["seconds_per_request"] == pytest.approx(0.5)
    assert found["none"]["mean_seconds_per_request"] == pytest.approx(9 / 10)


def test_time_follows_what_was_measured(given: Given) -> None:
    # One slot, 12 requests of 0.4 s with 80 cached tokens between 12 of 1 s without
    given.run(shares_prefix=True)
    for turn in range(12):
        given.request(1400 * turn)
        given.request(1400 * turn + 1000, gaps_ms=(30.0,) * 9, ttft_ms=130.0, cached_input_tokens=80)
    given.slo().build()
    found = bands(given)
    # from 1.0 s to the last request's start at 16.4 s: 11 whole ones of each kind, and the last counts
    assert (found["none"]["requests"], found["75-100 %"]["requests"]) == (11, 12)
    assert found["none"]["seconds_per_request"] == pytest.approx(1.0)
    assert found["75-100 %"]["seconds_per_request"] == pytest.approx(11 * 0.4 / 12)
    assert found["none"]["mean_seconds_per_request"] == pytest.approx(15.4 / 23)
    assert {band for band, row in found.items() if row["is_most_cached"]} == {"75-100 %"}


def test_few_requests_are_no_measured_band(given: Given) -> None:
    # 10 of a band are one short of a median; the next lower one has its 11
    one_after_the_other(given, [*[90] * 10, *[10] * 11, *[0] * 5]).build()
    assert {band for band, row in bands(given).items() if row["is_most_cached"]} == {"0-25 %"}


def test_a_request_that_does_not_know_its_counts_is_in_no_band(given: Given) -> None:
    # Ten requests of a second each and one as the window ends; the unknown one still is one of all good requests
    one_after_the_other(given, [0, 0, None, 0, 0, 0, 0, 0, 0, 0]).build()
    row = bands(given)["none"]
    assert (row["requests"], row["mean_seconds_per_request"]) == (10, pytest.approx(10 / 11))
    assert row["seconds_per_request"] == pytest.approx(9 / 10)


def test_a_budget_is_a_measured_length_and_cuts_what_is_above_it(given: Given) -> None:
    # 24 answers: 12 of 8 tokens, 7 of 10, 5 of 20. p50 is the 12th: 8, above it 7 x 2 + 5 x 12 = 74 of 266 tokens; p75
    # the 18th: 10, above it 5 x 10 = 50. p90 would need 64 answers.
    given.run().slo()
    for second, tokens in enumerate([8, *[8] * 12, *[10] * 7, *[20] * 5]):
        given.request(1000 * second, gaps_ms=(890 / (tokens - 1),) * (tokens - 1), target_output_tokens=tokens)
    given.build()
    rows = given.all("""select statistic, budget_tokens, requests, output_tokens_mean, tokens_above_mean
        from staging.output_budgets order by all""")
    assert [tuple(row.values()) for row in rows] == [
        ("p50", 8, 24, pytest.approx(266 / 24), pytest.approx(74 / 24)),
        ("p75", 10, 24, pytest.approx(266 / 24), pytest.approx(50 / 24)),
    ]


def test_one_length_for_all_leaves_nothing_to_cut(given: Given) -> None:
    given.run().closed_loop(1, 13).slo().build()
    row = given.one("from staging.output_budgets")
    assert (row["statistic"], row["budget_tokens"], row["tokens_above_mean"]) == ("p50", 10, 0)


def test_an_unknown_length_leaves_no_budget(given: Given) -> None:
    given.run().closed_loop(1, 30).slo()
    given.rows["request_traces"][5]["output_tokens"] = None
    given.build()
    assert given.all("from staging.output_budgets") == []
