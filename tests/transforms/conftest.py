"""Fixture of the SQL tests: an empty warehouse to fill with chosen raw rows."""

from collections.abc import Iterator

import pytest

from tests.transforms import factory


@pytest.fixture
def given(request: pytest.FixtureRequest) -> Iterator[factory.Given]:
    """Chosen raw rows in, built warehouse out: the tables that the module calls WANTED, or all."""
    with factory.given() as rows:
        rows.wanted = getattr(request.module, "WANTED", None)
        yield rows
