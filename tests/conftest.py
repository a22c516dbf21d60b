"""What holds for all tests."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

# a busy machine takes its time, and that is no failure
settings.register_profile("ratecard", deadline=None)
settings.load_profile("ratecard")

LONG = ("flows", "warehouse")
"""Rooms with files that take minutes, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They begin first: processes that take file after file are then done at about the same time."""
    items.sort(key=lambda item: _place(item.path))


def _place(path: Path) -> int:
    rooms = [LONG.index(part) for part in path.relative_to(Path(__file__).parent).parts if part in LONG]
    return min(rooms, default=len(LONG))


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
