"""How wrong the client is: the comparison by hand, and the real worker against the real reference endpoint."""

import asyncio
import json
import sys
from pathlib import Path

import polars as pl
import pytest

from flows.calibrate import calibrate
from schemas.errors import EndpointError
from warehouse.calibration import (
    Comparison,
    compare,
    in_words,
    logged_by_endpoint,
    run_columns,
    seen_by_client,
)


def step(streams: int = 64, **changes: float) -> Comparison:
    errors = {
        "ttft_error_mean_ms": 0.0, "ttft_error_p50_ms": 0.0, "ttft_error_p99_ms": 0.01, "itl_error_p50_ms": 0.0,
        "itl_error_p99_ms": 0.02, "tokens_per_s": streams * 50.0,
    }  # fmt: skip
    return Comparison(streams=streams, requests=streams, **(errors | changes))


def test_an_error_is_the_clients_percentile_minus_the_true_one(tmp_path: Path) -> None:
    ms = 1_000_000
    base = 1_770_000_000_000 * ms
    log = [
        # 10 ms to the first token, then gaps of 20 and 30 ms
        {"prompt_sha256": "a", "received_ns": base, "sent_ns": [base + 10 * ms, base + 30 * ms, base + 60 * ms]},
        # 20 ms, then 40 ms
        {"prompt_sha256": "b", "received_ns": base, "sent_ns": [base + 20 * ms, base + 60 * ms]},
        {"prompt_sha256": "never came back", "received_ns": base, "sent_ns": []},
    ]
    file = tmp_path / "truth.jsonl"
    file.write_text("".join(json.dumps(line | {"stamp": "kernel", "request_id": None}) + "\n" for line in log))
    part = tmp_path / "part.parquet"
    pl.DataFrame(
        {
            "prompt_sha256": ["b", "a", "not logged", "failed"],
            "outcome": ["ok", "ok", "ok", "timeout"],
            "sent_ns": [5 * ms, 0, 0, 0],
            # b: 20 ms + 3; a: 10 ms + 1
            "first_token_ns": [28 * ms, 11 * ms, 900 * ms, None],
            # 40 ms - 2; 20 + 1, 30 + 1
            "gaps_us": [[38_000], [21_000, 31_000], [1], []],
        },
        schema_overrides={"gaps_us": pl.List(pl.Int32)},
    ).write_parquet(part)
    found = compare(seen_by_client([part]), logged_by_endpoint(file), streams=2)
    assert (found.streams, found.requests) == (2, 2)
    # the median of 11 and 23 ms beside that of 10 and 20; the p99 lies 99 % of the way from the lower to the upper
    assert found.ttft_error_p50_ms == pytest.approx(17 - 15)
    assert found.ttft_error_p99_ms == pytest.approx((11 + 0.99 * 12) - (10 + 0.99 * 10))
    assert found.ttft_error_mean_ms == pytest.approx(17 - 15)
    # 21, 31, 38 beside 20, 30, 40; the p99 is 98 % of the way from the second to the third
    assert found.itl_error_p50_ms == pytest.approx(31 - 30)
    assert found.itl_error_p99_ms == pytest.approx((31 + 0.98 * 7) - (30 + 0.98 * 10))
    # 5 tokens between 10 and 60 ms
    assert found.tokens_per_s == pytest.approx(5 / 0.050)
    assert not found.held


def test_requests_that_nobody_else_knows_are_told() -> None:
    seen = pl.DataFrame({"prompt_sha256": ["a"], "ttft_ms": [1.0], "gaps_ms": [[1.0]]})
    truth = pl.DataFrame({"prompt_sha256": ["b"], "sent_ns": [[1, 2]], "ttft_ms": [1.0], "gaps_ms": [[1.0]]})
    with pytest.raises(EndpointError, match=r"none of the client's 1 good requests.*among the 1"):
        compare(seen, truth, 1)


def test_the_first_step_is_the_error_bar_and_the_highest_rate_held_is_kept() -> None:
    steps = [step(64, ttft_error_p50_ms=-0.3), step(256), step(512, itl_error_p99_ms=1.2)]
    assert run_columns(steps) == {
        "calibration_streams": 64,
        "calibration_ttft_error_p50_ms": -0.3,
        "calibration_ttft_error_p99_ms": 0.01,
        "calibration_itl_error_p50_ms": 0.0,
        "calibration_itl_error_p99_ms": 0.02,
        "calibration_tokens_per_s": 256 * 50,
    }
    assert in_words(steps) == (
        "client error at 64 streams: TTFT p50 -0.30 / p99 +0.01 ms, ITL p50 +0.00 / p99 +0.02 ms; holds 12,800 tokens/s"
    )


def test_an_error_above_its_bound_is_said_with_what_it_does() -> None:
    assert step(ttft_error_p50_ms=1.0, itl_error_p50_ms=-0.5).within_bounds
    assert not step(ttft_error_p50_ms=-1.1).within_bounds
    assert "marked clock_suspect" in in_words([step(itl_error_p50_ms=0.6)])
    nothing_held = [step(itl_error_p99_ms=-7.0)]
    assert run_columns(nothing_held)["calibration_tokens_per_s"] is None
    assert "holds no rate that was tried" in in_words(nothing_held)


async def test_a_real_worker_is_compared_with_a_real_endpoint(tmp_path: Path) -> None:
    steps = await calibrate(tmp_path, asyncio.Event(), streams=(2, 4))
    assert [(s.streams, s.requests) for s in steps][:1] == [(2, 4)]
    # a mistake in units or in who is subtracted from whom is as large as the 100 ms to the first token
    assert abs(steps[0].ttft_error_p50_ms) < 90
    # 2 streams of a token every 20 ms are 100 a second, less the time to the first token between two rounds
    assert 0 < steps[0].tokens_per_s < 110


async def test_a_calibration_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    stop = asyncio.Event()
    stop.set()
    assert await calibrate(tmp_path, stop, streams=(2,)) == []


async def test_an_endpoint_that_cannot_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(EndpointError, match="the reference endpoint ended before it was ready: it said nothing"):
        await calibrate(tmp_path, asyncio.Event(), streams=(2,))
