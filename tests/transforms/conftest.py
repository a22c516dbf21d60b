"""Fixture of the SQL tests: an empty warehouse to fill with chosen raw rows."""

from collections.abc import Iterator

import pytest

from tests.transforms import factory


@pytest.fixture
def given() -> Iterator[factory.Given]:
    """Chosen raw rows in, built warehouse out."""
    with factory.given() as rows:
        yield rows
