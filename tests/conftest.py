"""What holds for all tests."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

# a busy machine takes its time, and that is no failure
settings.register_profile("ratecard", deadline=None)
settings.load_profile("ratecard")

LONGEST = (
    "flows/test_deployments", "warehouse/test_increment", "warehouse/test_retention", "flows/test_interruption",
    "flows/test_night", "flows/test_serve", "flows/test_kill", "warehouse/test_bad_input", "flows/test_real_engine",
    "flows/test_two_nights", "reports/test_page", "reports/test_face", "warehouse/test_feed_postgres",
    "warehouse/test_feed_focus", "warehouse/test_build", "reports/test_calculator", "reports/test_workbook",
    "transforms/test_economics", "warehouse/test_corrections", "flows/test_measure", "transforms/test_fleet_mixes",
    "endpoints/test_reference_faults", "loadgen/test_open_loop", "loadgen/test_level", "loadgen/test_worker_process",
    "loadgen/test_ends_of_requests", "test_benchmarks",
)  # fmt: skip
"""Files of 10 s and more, the longest first; all others come behind them. They are most of the time of all."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They begin first: processes that take file after file are then done at about the same time."""
    places = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(_name(item.path), len(LONGEST)))


def _name(path: Path) -> str:
    return path.relative_to(Path(__file__).parent).with_suffix("").as_posix()


@pytest.fixture
def commented() -> None:
    """For tests that look at comments."""


@pytest.fixture(autouse=True)
def uncommented(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of others no build says what its thousand columns are, one by one: a fifth of its time, and nobody reads it."""
    if "commented" not in request.fixturenames:
        for name in ("transforms.runner", "warehouse.published", "tests.curated"):
            if name in sys.modules:
                monkeypatch.setattr(sys.modules[name], "comments", lambda table: iter(()))
