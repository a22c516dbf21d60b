"""From catalog models to runs, levels and shards."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from loadgen.plan import RunPlan, api_base, plan_levels, plan_run, probe_spec, shard_specs
from loadgen.spec import PromptScale, ShardSpec
from schemas.catalog import Endpoint, Load, Workload

NIGHT = datetime(2026, 11, 20, 2, tzinfo=UTC)


def planned(night: datetime = NIGHT, seed: int | None = None, **load: Any) -> RunPlan:
    return plan_run(
        suite="s",
        names=("e", "w", "l"),
        endpoint=Endpoint(url="http://localhost:8000", model="m"),
        workload=Workload(input_tokens=10, output_tokens=5, seed=seed),
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
    assert [(level.requests, level.least_requests, level.warmup_requests) for level in levels] == [
        (20, 20, 1),
        (56, 56, 8),
    ]
    [level] = plan_levels(Load(concurrency=[3], duration_s=5, warmup_requests=0))
    assert (level.requests, level.least_requests, level.warmup_requests) == (None, 21, 0)


def test_shards_share_a_level_without_loss(tmp_path: Path) -> None:
    plan = planned(concurrency=[7], requests=50, shards=3)
    specs = shard_specs(plan, plan.levels[0], PromptScale(), tmp_path)
    assert [spec.concurrency for spec in specs] == [3, 2, 2]
    assert sum(spec.requests or 0 for spec in specs) == 50
    assert sum(spec.warmup_requests for spec in specs) == 7
    assert {spec.identity["concurrency"] for spec in specs} == {7}
    assert len({spec.part_path for spec in specs}) == 3


def test_a_probe_does_not_wait_for_ten_minutes(tmp_path: Path) -> None:
    spec = probe_spec(planned(), 0, PromptScale(), tmp_path)
    assert (spec.target.timeout_s, spec.identity["level_index"], spec.phase) == (120, 0, "probe")


def test_plan_and_specs_survive_their_files(tmp_path: Path) -> None:
    plan = planned()
    (tmp_path / "plan.json").write_text(json.dumps(asdict(plan)))
    assert RunPlan.read(tmp_path / "plan.json") == plan
    [spec] = shard_specs(plan, plan.levels[0], PromptScale(3.5, 7), tmp_path)
    spec.write(tmp_path / "spec.json")
    assert ShardSpec.read(tmp_path / "spec.json") == spec
