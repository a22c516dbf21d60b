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
    "flows/test_night", "flows/test_kill", "flows/test_serve", "flows/test_real_engine", "warehouse/test_bad_input",
    "flows/test_two_nights", "warehouse/test_feed_postgres", "warehouse/test_build", "warehouse/test_feed_focus",
    "transforms/test_economics", "reports/test_page", "reports/test_workbook", "reports/test_face",
    "reports/test_calculator", "warehouse/test_corrections", "transforms/test_fleet_mixes", "warehouse/test_compaction",
    "flows/test_measure", "warehouse/test_sizing", "transforms/test_operating_points", "transforms/test_cost_ledger",
    "warehouse/test_history", "warehouse/test_feed_parquet", "flows/test_import", "transforms/test_imported_summaries",
    # of those that compare clocks
    "endpoints/test_reference_faults", "loadgen/test_open_loop", "loadgen/test_level", "loadgen/test_worker_process",
    "loadgen/test_ends_of_requests", "test_benchmarks",
)  # fmt: skip
"""The files that compute or wait longest, 10 s and more, in the order of what they took when they were measured."""


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
