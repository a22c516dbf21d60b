"""From catalog models to runs, levels and shards."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from loadgen.plan import RunPlan, api_base, plan_levels, plan_run, probe_spec, shard_specs
from loadgen.spec import PromptScale, ShardSpec
from schemas.catalog.endpoints import Endpoint
from schemas.catalog.loads import Load
from schemas.catalog.workloads import Workload
from schemas.errors import SpecError

NIGHT = datetime(2026, 11, 20, 2, tzinfo=UTC)


def planned(
    night: datetime = NIGHT,
    seed: int | None = None,
    workload: dict[str, Any] | None = None,
    endpoint: dict[str, Any] | None = None,
    **load: Any,
) -> RunPlan:
    return plan_run(
        suite="s",
        names=("e", "w", "l"),
        endpoint=Endpoint(url="http://localhost:8000", model="m", **(endpoint or {})),
        workload=Workload(**({"input_tokens": 10, "output_tokens": 5} if workload is None else workload), seed=seed),
        load=Load(**({"concurrency": [1, 8], "requests": 20} | load)),
        night=night,
    )


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_a_url_is_taken_with_or_without_v1(url: str) -> None:
    assert api_base(url) == "http://h:1/v1"


def test_a_run_is_named_by_what_it_measures_and_its_night() -> None:
    elsewhere = NIGHT.astimezone(timezone(timedelta(hours=9)))
    assert planned().run_id == planned(elsewhere).run_id
    assert planned().run_id.startswith("2026-11-20_e_w_")
    others = {planned().run_id, planned(NIGHT + timedelta(days=1)).run_id, planned(requests=21).run_id}
    assert len(others) == 3


def test_each_night_has_prompts_of_its_own_unless_a_seed_is_given() -> None:
    assert planned().seed != planned(NIGHT + timedelta(days=1)).seed
    assert planned(seed=7).seed == planned(NIGHT + timedelta(days=1), seed=7).seed == 7


def test_a_level_sends_at_least_7_requests_a_slot() -> None:
    # 20 asked for: enough at concurrency 1, raised to 7 x 8 at 8; warm-up as many as the concurrency
    levels = plan_levels(Load(concurrency=[1, 8], requests=20))
    assert [(level.stop.requests, level.least_requests, level.warmup_requests) for level in levels] == [
        (20, 20, 1),
        (56, 56, 8),
    ]
    [level] = plan_levels(Load(concurrency=[3], duration_s=5, warmup_requests=0))
    assert (level.stop.requests, level.least_requests, level.warmup_requests) == (None, 21, 0)


def test_a_closed_loop_has_as_many_workers_as_leave_each_32_requests_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadgen.plan.cores", lambda: 8)
    levels = plan_levels(Load(concurrency=[1, 63, 64, 96, 500], requests=20))
    assert [level.shards for level in levels] == [1, 1, 2, 3, 7]
    assert [level.shards for level in plan_levels(Load(concurrency=[2, 3], requests=20, shards=2))] == [2, 2]
    assert [level.shards for level in plan_levels(Load(rate=[0.5], requests=20))] == [7]
    # each may have one request in flight
    assert [level.shards for level in plan_levels(Load(rate=[0.5], requests=20, max_in_flight=3))] == [3]
    monkeypatch.setattr("loadgen.plan.cores", lambda: 1)
    assert [level.shards for level in plan_levels(Load(concurrency=[64], requests=20))] == [1]


def test_a_ramp_has_the_requests_of_its_mean_rate() -> None:
    [level] = plan_levels(Load(rate=[60], arrivals="ramp", ramp_from=10, duration_s=6))
    assert level.least_requests == 210  # (10 + 60) / 2 * 6


def test_shards_share_a_level_without_loss(tmp_path: Path) -> None:
    plan = planned(concurrency=[7], requests=50, shards=3)
    specs = shard_specs(plan, plan.levels[0], PromptScale(), tmp_path)
    assert [spec.share(spec.shape.concurrency or 0) for spec in specs] == [3, 2, 2]
    assert sum(spec.share(spec.stop.requests or 0) for spec in specs) == 50
    assert sum(spec.share(spec.warmup_requests) for spec in specs) == 7
    assert {spec.identity["concurrency"] for spec in specs} == {7}
    assert len({spec.part_path for spec in specs}) == 3


def test_a_probe_does_not_wait_for_ten_minutes(tmp_path: Path) -> None:
    spec = probe_spec(planned(), 0, PromptScale(), tmp_path)
    assert (spec.target.timeout_s, spec.identity["level_index"], spec.phase) == (120, 0, "probe")
    assert spec.stop.max_duration_s == 120


def test_plan_and_specs_survive_their_files(tmp_path: Path) -> None:
    plan = planned()
    (tmp_path / "plan.json").write_text(json.dumps(asdict(plan)))
    assert RunPlan.read(tmp_path / "plan.json") == plan
    [spec] = shard_specs(plan, plan.levels[0], PromptScale(3.5, 7), tmp_path)
    spec.write(tmp_path / "spec.json")
    assert ShardSpec.read(tmp_path / "spec.json") == spec


@pytest.fixture
def trace(tmp_path: Path) -> dict[str, Any]:
    """5 arrivals in 8 s, one of which failed."""
    rows = ["0,100,10", "2,200,20", "4,300,30", "6,9,0", "8,400,40"]
    (tmp_path / "trace.csv").write_text("\n".join(["Timestamp,Request tokens,Response tokens", *rows]))
    return {"trace": {"file": str(tmp_path / "trace.csv"), "format": "burstgpt"}}


REPLAY: dict[str, Any] = {"concurrency": None, "requests": None, "speed": [1, 4]}


def test_a_trace_is_replayed_whole_at_its_mean_rate_times_the_speed(trace: dict[str, Any]) -> None:
    # 4 arrivals over 8 s: 3 gaps / 8 s
    plan = planned(workload=trace, **REPLAY)
    levels = [
        (level.shape.label, level.shape.rate, level.stop.requests, level.warmup_requests) for level in plan.levels
    ]
    assert levels == [("trace x1", 0.375, 4, 0), ("trace x4", 1.5, 4, 0)]


def test_part_of_a_trace_is_replayed_at_that_parts_rate(trace: dict[str, Any]) -> None:
    # 1 warm-up and 2 measured: 2 gaps / 4 s
    [level] = planned(workload=trace, **(REPLAY | {"speed": [1], "requests": 2, "warmup_requests": 1})).levels
    assert (level.shape.rate, level.stop.requests, level.warmup_requests) == (0.5, 2, 1)
    [level] = planned(workload=trace, **(REPLAY | {"speed": [1], "requests": 99, "warmup_requests": 1})).levels
    assert level.stop.requests == 3


def test_a_load_that_replays_needs_a_trace_with_more_than_its_warm_up(trace: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="this workload has none"):
        planned(**REPLAY)
    with pytest.raises(SpecError, match=r"warmup_requests \(4\) leaves none of the trace's 4 arrivals"):
        planned(workload=trace, **(REPLAY | {"warmup_requests": 4}))


def test_the_plan_knows_the_mean_lengths(trace: dict[str, Any], tmp_path: Path) -> None:
    def facts(workload: dict[str, Any] | None = None) -> tuple[Any, ...]:
        config = planned(workload=workload).workload_config
        return tuple(config[name] for name in ("input_tokens_mean", "output_tokens_mean", "entries", "entries_skipped"))

    assert facts() == (10.0, 5.0, None, None)
    spread = {"distribution": "uniform", "min": 10, "max": 30}
    assert facts({"input_tokens": spread, "output_tokens": spread}) == (20.0, 20.0, None, None)
    assert facts(trace) == (250.0, 25.0, 4, 1)
    (tmp_path / "p.jsonl").write_text(
        '{"prompt": "a", "output_tokens": 4}\n{"prompt": "b", "max_tokens": 6}\n{"prompt": ""}\n'
    )
    prompts = {"dataset": {"file": str(tmp_path / "p.jsonl"), "format": "jsonl"}}
    assert facts(prompts) == (None, 5.0, 2, 1)
    assert facts(prompts | {"output_tokens": 9}) == (None, 9.0, 2, 1)


def test_another_file_is_another_configuration_wherever_it_lies(trace: dict[str, Any], tmp_path: Path) -> None:
    file = Path(trace["trace"]["file"])
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_bytes(file.read_bytes())
    changed = tmp_path / "changed.csv"
    changed.write_text(file.read_text() + "\n9,1,1")
    hashes = [
        planned(workload={"trace": trace["trace"] | {"file": str(path)}}, **REPLAY).config_hash
        for path in (file, elsewhere, changed)
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    tokenizers = [planned(endpoint={"tokenizer": str(path)}).config_hash for path in (file, elsewhere, changed)]
    assert tokenizers[0] == tokenizers[1] != tokenizers[2] != planned().config_hash


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="gone: cannot be read: No such file"):
        planned(endpoint={"tokenizer": str(tmp_path / "gone")})
