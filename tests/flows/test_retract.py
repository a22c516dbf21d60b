"""A night is measured once, unless it was retracted, or is measured again on purpose."""

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.catalog.loads import Load
from tests.flows.runs import Night
from warehouse import manifests
from warehouse.corrections import restore, retract
from warehouse.home import Home

LOAD = Load(concurrency=[2], requests=20, warmup_requests=2, shards=1)


async def test_a_night_is_measured_again_after_a_retraction_and_with_again_and_never_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: Callable[..., str]
) -> None:
    night, url = Night(Home(tmp_path / "home"), monkeypatch), reference()

    def attempts() -> list[int]:
        return [manifest.run["attempt"] for manifest in manifests.read_all(night.home)]

    first = await night.measure(url, LOAD)
    assert (first.status, attempts()) == ("complete", [1])
    assert (await night.measure(url, LOAD)).status == "skipped"

    retract(night.home, first.run_id, "another job on the machine")
    second = await night.measure(url, LOAD)
    assert (second.status, second.run_id, attempts()) == ("complete", first.run_id, [1, 2])
    assert (await night.measure(url, LOAD)).status == "skipped"

    restore(night.home, first.run_id, "it was idle", attempt=1)
    assert (await night.measure(url, LOAD)).status == "skipped"

    assert (await night.measure(url, LOAD, again=True)).status == "complete"
    assert attempts() == [1, 2, 3]
    assert (await night.measure(url, LOAD)).status == "skipped"

    # what is measured today is not of a night whose traces are gone
    monkeypatch.setattr("warehouse.archive.is_frozen", lambda home, run_date, night: night == "2026-11-20T02:00:00")
    refused = await night.measure(url, LOAD, again=True)
    assert refused.status == "failed"
    assert "the night 2026-11-20T02:00:00 is archived" in str(refused.message)
    assert attempts() == [1, 2, 3]
