"""A search in the flow: each load tried is an ordinary level of the run, and what was found is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import search as search_flow
from loadgen.plan import LevelPlan
from schemas.catalog.loads import Load, Search
from schemas.catalog.slos import Bound, Slo
from tests.flows.runs import Night
from warehouse import manifests
from warehouse.home import Home
from warehouse.preview import Preview
from warehouse.runs import RunFolder

CHAT = Slo(bounds=[Bound(metric="e2e", max_ms=80.0)], attainment_share=0.9)


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    return Night(Home(tmp_path / "home"), monkeypatch)


Levels = Callable[[LevelPlan], tuple[dict[str, Any], dict[str, Any] | None]]


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Callable[[Levels], list[LevelPlan]]:
    """`simulated(levels)`: nothing is sent, `levels` says what its row is and how it stands against `chat`.

    Returns the levels that were tried.
    """

    def simulate(levels: Levels) -> list[LevelPlan]:
        tried: list[LevelPlan] = []

        async def nothing(*_: object) -> None:
            return None

        async def measured(_: RunFolder, level: LevelPlan) -> dict[str, Any]:
            tried.append(level)
            return {"status": "complete", "stop_reason": "count", "failure": None} | levels(level)[0]

        def preview(_: RunFolder, level_index: int) -> Preview:
            row, judged = levels(tried[level_index - 1])
            point = {"validity": row.get("validity", "valid"), "request_rps": 1.0}
            return Preview(point, {"chat": judged} if judged else {})

        monkeypatch.setattr("flows.measure.probe", nothing)
        monkeypatch.setattr("flows.search.measured", measured)
        monkeypatch.setattr("flows.search.preview", preview)
        return tried

    return simulate


def attained(attainment: float, lowest: float, highest: float) -> dict[str, Any]:
    return {
        "attainment_share": 0.9, "attainment": attainment, "attainment_lo": lowest, "attainment_hi": highest,
        "meets_slo": attainment >= 0.9,
    }  # fmt: skip


GOOD, BAD, UNSURE = attained(0.99, 0.95, 0.995), attained(0.5, 0.4, 0.6), attained(0.92, 0.85, 0.95)


async def test_the_levels_that_a_search_tries_are_levels_of_the_run(
    night: Night, reference: Callable[..., str]
) -> None:
    load = Load(search=Search(kind="saturate", max=2.0), requests=30, warmup_requests=2)
    outcome = await night.measure(reference(), load)
    assert outcome.status == "complete", outcome
    [manifest] = manifests.read_all(night.home)
    assert [(level["concurrency"], level["search"]) for level in manifest.levels] == [(1, "saturate"), (2, "saturate")]
    assert manifest.run["levels_planned"] == manifest.run["levels_measured"] == len(manifest.levels)
    assert [level["shape"]["concurrency"] for level in manifest.plan["levels"]] == [
        level["concurrency"] for level in manifest.levels
    ]
    assert "saturate search: trying c=2" in night.said
    assert "requests/s" in night.said
    assert "saturate: t" in night.said  # the knee, or throughput still grows


async def test_goodput_says_what_holds_and_measures_an_undecided_level_again_twice_as_long(
    night: Night, simulated: Callable[[Levels], list[LevelPlan]]
) -> None:
    tried = simulated(lambda level: ({}, GOOD if level.least_requests > 40 or level.shape.concurrency == 1
                                     else BAD if level.shape.concurrency == 4 else UNSURE))  # fmt: skip
    load = Load(search=Search(kind="goodput", slo="chat"), requests=40, max_duration_s=60.0)
    outcome = await night.measure("http://unused.invalid", load, slos={"chat": CHAT})
    assert outcome.status == "complete", outcome
    # 1 holds; 2 is undecided, and holds with 80 requests; 4 does not; 3 is undecided and then holds
    assert [(level.shape.concurrency, level.stop.requests, level.stop.max_duration_s) for level in tried] == [
        (1, 40, 60), (2, 40, 60), (2, 80, 120), (4, 40, 60), (3, 40, 60), (3, 80, 120),
    ]  # fmt: skip
    assert "goodput: c=3 holds chat (attainment 0.990, 0.950–0.995), c=4 does not (attainment 0.500, 0.400–0.600)" in (
        night.said
    )


async def test_a_level_that_the_client_was_too_slow_for_is_measured_again_and_not_held_against_the_endpoint(
    night: Night, simulated: Callable[[Levels], list[LevelPlan]]
) -> None:
    bound = {"validity": "client_bound"}
    tried = simulated(lambda level: (bound, BAD) if level.least_requests == 40 else ({}, GOOD))
    load = Load(search=Search(kind="goodput", slo="chat", start=1, max=2), requests=40)
    outcome = await night.measure("http://unused.invalid", load, slos={"chat": CHAT})
    assert outcome.status == "complete", outcome
    assert [(level.shape.concurrency, level.stop.requests) for level in tried] == [(1, 40), (1, 80), (2, 40), (2, 80)]
    assert "goodput: c=2 holds chat" in night.said


async def test_an_over_saturated_rate_does_not_hold_and_the_search_goes_on_below(
    night: Night, simulated: Callable[[Levels], list[LevelPlan]]
) -> None:
    def levels(level: LevelPlan) -> tuple[dict[str, Any], dict[str, Any] | None]:
        too_much = (level.shape.rate or 0) > 10
        return ({"status": "stopped", "stop_reason": "over_saturated"} if too_much else {}, GOOD)

    tried = simulated(levels)
    load = Load(search=Search(kind="goodput", slo="chat", over="rate", start=16.0, resolution=0.3), duration_s=5.0)
    outcome = await night.measure("http://unused.invalid", load, slos={"chat": CHAT})
    assert outcome.status == "complete", outcome
    assert [level.shape.rate for level in tried] == [16, 8, 12, 10]
    assert "goodput: 10/s holds chat" in night.said


async def test_a_search_in_which_every_level_was_given_up_fails(
    night: Night, simulated: Callable[[Levels], list[LevelPlan]]
) -> None:
    gave_up = {"status": "stopped", "stop_reason": "error_share", "failure": "too many requests failed"}
    simulated(lambda _: (gave_up, None))
    load = Load(search=Search(kind="saturate", start=2.0), requests=40)
    outcome = await night.measure("http://unused.invalid", load)
    assert outcome.status == "failed"
    assert outcome.message == "every level that the search tried was given up: too many requests failed"


async def test_a_stop_ends_the_search_and_keeps_its_levels(
    night: Night, simulated: Callable[[Levels], list[LevelPlan]]
) -> None:
    def levels(level: LevelPlan) -> tuple[dict[str, Any], dict[str, Any] | None]:
        if level.shape.concurrency == 4:
            night.stop.set()
            return {"status": "interrupted", "stop_reason": "interrupted"}, None
        return {}, GOOD

    simulated(levels)
    load = Load(search=Search(kind="goodput", slo="chat"), requests=40)
    outcome = await night.measure("http://unused.invalid", load, slos={"chat": CHAT})
    assert outcome.status == "interrupted"
    [manifest] = manifests.read_all(night.home)
    assert manifest.run["levels_planned"] == len(manifest.plan["levels"]) == 3
    assert "holds chat" not in night.said


async def test_an_slo_of_other_workloads_is_named_before_anything_is_sent(
    night: Night, simulated: Callable[[Levels], list[LevelPlan]]
) -> None:
    tried = simulated(lambda _: ({}, GOOD))
    load = Load(search=Search(kind="goodput", slo="chat"), requests=40)
    slos = {"chat": CHAT.model_copy(update={"workloads": ["other"]})}
    outcome = await night.measure("http://unused.invalid", load, slos=slos)
    assert (outcome.status, tried) == ("failed", [])
    assert outcome.message is not None
    assert "'chat', which does not apply to workload 'w'" in outcome.message


@pytest.mark.parametrize(
    ("rate", "came", "completed", "throughput"),
    [
        (2.0, 10, 8, 2.0),  # 1.6/s by chance: what was offered was served
        (64.0, 320, 185, 37.0),  # it fell behind: what it delivered
    ],
)
def test_a_rate_that_is_kept_up_with_counts_as_delivered(
    rate: float, came: int, completed: int, throughput: float
) -> None:
    point = {
        "validity": "valid", "load_kind": "open", "request_rate": rate, "request_rps": completed / 5,
        "requests_in_window": came, "completions_in_window": completed,
    }  # fmt: skip
    assert search_flow._found(Preview(point, {}), None).request_rps == throughput
