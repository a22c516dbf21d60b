"""Endpoints that die with their test."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.endpoints.children import Reference


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[Reference]:
    with ExitStack() as stack:
        yield Reference(stack, tmp_path)
