"""One run against the reference endpoint: what lands of it, whatever its loads and however it ends."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows import children
from flows.level_rows import level_row
from flows.together import Send, Together
from loadgen.plan import LevelPlan, shard_specs
from loadgen.spec import PromptScale, ShardSpec
from schemas.catalog.loads import Load
from schemas.errors import WorkerError
from tests.certificate import make_certificate
from tests.flows.runs import QUICK, Night, planned
from warehouse import manifests
from warehouse.home import Home
from warehouse.runs import RunFolder


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    return Night(Home(tmp_path / "home"), monkeypatch)


def traces(home: Home) -> pl.DataFrame:
    """What landed of the levels."""
    return pl.read_parquet(home.raw / "request_traces/**/*.parquet").filter(pl.col("level_index") > 0)


async def test_several_workers_are_one_level_and_calibration_and_the_server_s_own_figures_stand_with_the_run(
    night: Night, reference: Callable[..., str]
) -> None:
    load = Load(concurrency=[2], requests=30, warmup_requests=2, shards=2)
    outcome = await night.measure(reference(), load, calibration={"calibration_streams": 64})
    assert outcome.status == "complete", outcome
    [manifest] = manifests.read_all(night.home)
    assert manifest.run["calibration_streams"] == 64
    [level] = manifest.levels
    expected = {
        "load_kind": "closed", "concurrency": 2, "request_rate": None, "arrivals": None, "search": "sweep", "shards": 2,
        "status": "complete", "stop_reason": "count", "rows_landed": 32,
    }  # fmt: skip
    assert level | expected == level
    parts = {(part["table"], Path(part["path"]).name) for part in manifest.parts if part["level_index"] == 1}
    assert {
        ("request_traces", "a1-l001-s000.parquet"),
        ("request_traces", "a1-l001-s001.parquet"),
        ("server_metrics", "a1-l001.server_metrics.parquet"),
    } <= parts
    assert level["late_start_ms"] >= 0
    # the first request of each is due at the one instant that both were told, by the clocks of two processes
    epoch_ns = pl.col("epoch_wall_at").dt.epoch("us") * 1000
    starts = traces(night.home).group_by("shard").agg((epoch_ns + pl.col("scheduled_ns")).min().alias("at"))["at"]
    assert len(starts) == 2
    assert starts.max() - starts.min() < 5e6


async def test_an_endpoint_without_metrics_is_measured_all_the_same(
    night: Night, reference: Callable[..., str]
) -> None:
    outcome = await night.measure(
        reference("--no-metrics"), Load(rate=[40.0], requests=20, warmup_requests=2, shards=1)
    )
    assert outcome.status == "complete", outcome
    [manifest] = manifests.read_all(night.home)
    [level] = manifest.levels
    expected = {"load_kind": "open", "concurrency": None, "request_rate": 40.0, "arrivals": "poisson", "shards": 1}
    assert level | expected == level
    assert "server_metrics" not in {part["table"] for part in manifest.parts}


async def test_a_slow_endpoint_is_probed_for_as_long_as_it_takes_to_answer(
    night: Night, reference: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # each answer takes longer than a stage of the probe sends: each stage gets one, and the level follows
    monkeypatch.setattr("loadgen.plan.PROBE_STAGE_S", 0.2)
    outcome = await night.measure(reference("--ttft-ms", "400"), Load(concurrency=[1], requests=7, warmup_requests=1))
    assert outcome.status == "complete", outcome
    [manifest] = manifests.read_all(night.home)
    probed = [part["rows"] for part in manifest.parts if part["table"] == "request_traces" and "-l000-" in part["path"]]
    assert probed == [1, 1]


async def test_a_server_that_is_asked_for_http2_and_speaks_it_not_is_named(
    night: Night, reference: Callable[..., str], tmp_path: Path
) -> None:
    certificate = str(make_certificate(tmp_path))
    url = reference("--tls-cert", certificate, "--tls-key", certificate)
    outcome = await night.measure(url, Load(concurrency=[1], requests=7), http2=True, verify_tls=False)
    assert outcome.status == "complete", outcome
    assert "e does not speak HTTP/2" in night.said


async def test_an_endpoint_that_hangs_is_told_with_the_limit_that_was_hit(
    night: Night, reference: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadgen.plan.PROBE_ANSWER_S", 0.4)
    outcome = await night.measure(reference("--ttft-ms", "5000"), Load(concurrency=[1], requests=7))
    assert outcome.status == "failed"
    assert "is it stuck, or is the 0.4 s that a probe waits, before anything is measured, too short?" in outcome.message


async def test_a_worker_that_dies_fails_its_level_and_every_finished_part_lands(
    night: Night, reference: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run_worker(path: Path, *arguments: Any) -> children.Event:
        done = await children.run_worker(path, *arguments)
        spec = ShardSpec.read(path)
        if spec.shard == 1 and spec.phase == "measure":
            part = Path(spec.part_path)
            part.rename(part.with_name(f"{part.stem}-p001.parquet"))  # one that it had finished before
            raise WorkerError("the load generator was ended by SIGKILL")
        return done

    monkeypatch.setattr("flows.levels.run_worker", run_worker)
    outcome = await night.measure(reference(), Load(concurrency=[2, 4], requests=30, warmup_requests=2, shards=2))
    assert (outcome.status, outcome.message) == (
        "failed",
        "level c=2 was given up: the load generator was ended by SIGKILL",
    )
    [manifest] = manifests.read_all(night.home)
    [level] = manifest.levels
    assert (level["status"], level["rows_landed"]) == ("failed", 32)
    names = {Path(part["path"]).name for part in manifest.parts}
    assert {"a1-l001-s000.parquet", "a1-l001-s001-p001.parquet"} <= names


async def test_a_flow_that_is_cancelled_lands_what_its_workers_had(
    night: Night, reference: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = asyncio.Event()

    async def run_worker(path: Path, lock: int, stop: asyncio.Event, _: object, *rest: Any) -> children.Event:
        def tell(event: children.Event) -> None:
            if event["event"] == "progress" and event["phase"] == "measure" and event["done"]:
                under_way.set()

        return await children.run_worker(path, lock, stop, tell, *rest)

    monkeypatch.setattr("flows.levels.run_worker", run_worker)
    running = asyncio.create_task(night.measure(reference(), Load(concurrency=[2], requests=100_000, shards=1)))
    await under_way.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    [manifest] = manifests.read_all(night.home)
    [level] = manifest.levels
    assert (manifest.run["status"], level["status"]) == ("interrupted", "interrupted")
    assert level["rows_landed"] > 2


async def test_an_over_saturated_rate_is_the_last_of_a_sweep_and_no_failure(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    async def nothing(_: str) -> None:
        return None

    async def measured(_: RunFolder, level: LevelPlan) -> dict[str, Any]:
        tried.append(level.shape.rate)
        over = level.shape.rate == 20
        reason, status = ("over_saturated", "stopped") if over else ("duration", "complete")
        return {"status": status, "stop_reason": reason, "failure": None}

    monkeypatch.setattr("flows.measure.probe", nothing)
    monkeypatch.setattr("flows.measure.measured", measured)
    outcome = await night.measure("http://unused.invalid", Load(rate=[10.0, 20.0, 40.0, 80.0], duration_s=5.0))
    assert (outcome.status, tried) == ("complete", [10, 20])
    assert "e is over-saturated at 20/s: 40/s, 80/s would only queue more, and is left out" in night.said


def done(reason: str, **changes: Any) -> children.Event:
    health = {"cpu_share": 0.2, "loop_lag_p99_ms": 1.0}
    return {"stop_reason": reason, "first_failure": None, "health": health} | changes


@pytest.mark.parametrize(
    ("reasons", "expected", "status"),
    [
        (["count", "count"], "count", "complete"),
        (["count", "confidence"], "confidence", "complete"),
        (["duration", "max_duration"], "max_duration", "complete"),
        (["over_saturated", "duration"], "over_saturated", "stopped"),
        (["count", "interrupted"], "interrupted", "interrupted"),
        (["interrupted", "error_share"], "error_share", "stopped"),
    ],
)
def test_the_gravest_reason_of_its_shards_stands_for_a_level(
    reasons: list[str], expected: str, status: str, tmp_path: Path
) -> None:
    plan, _ = planned("http://unused.invalid", Load(concurrency=[2], requests=14, shards=2), QUICK, {})
    spec = shard_specs(plan, plan.levels[0], PromptScale(), tmp_path)[0]
    failure = {"outcome": "http_error", "error": "HTTP 500"}
    told = done("error_share")  # it stopped because another one gave up, and saw no failure
    words = [done(reason, first_failure=failure) for reason in reasons]
    row = level_row(spec, "sweep", None, [told, *words] if expected == "error_share" else words)
    assert (row["stop_reason"], row["status"]) == (expected, status)
    assert (row["failure"] is None) == (status == "complete")


async def test_a_worker_that_was_not_ready_in_time_is_told_and_kept_with_its_level(
    night: Night, reference: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowSecond(Together):
        """Hears of the second worker 300 ms after the first has begun."""

        def heard(self, event: children.Event, send: Send) -> None:
            async def later() -> None:
                await self.wait()
                await asyncio.sleep(0.3)
                super(SlowSecond, self).heard(event, send)

            if event == {"event": "ready", "shard": 1}:
                waiting.append(asyncio.create_task(later()))
            else:
                super().heard(event, send)

    waiting: list[asyncio.Task[None]] = []
    monkeypatch.setattr("flows.together.PATIENCE_S", 0.01)
    monkeypatch.setattr("flows.levels.Together", SlowSecond)
    await night.measure(reference(), Load(concurrency=[2], requests=14, warmup_requests=0, shards=2))
    [manifest] = manifests.read_all(night.home)
    [level] = manifest.levels
    assert level["late_start_ms"] >= 300
    assert "worker 2 of 2 began 0." in night.said
    late = traces(night.home).filter(shard=1).sort("request_index").head(1)
    assert (late["sent_ns"] - late["scheduled_ns"]).item() >= 300e6


async def test_a_disk_that_is_full_before_a_worker_starts_fails_the_run_with_what_to_do(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    outcome = await night.measure("http://127.0.0.1:9", Load(concurrency=[1], requests=10))
    [manifest] = manifests.read_all(night.home)
    assert outcome.status == manifest.run["status"] == "failed"
    assert "No space left on device; free some space there" in manifest.run["failure"]
