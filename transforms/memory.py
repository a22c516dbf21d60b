"""Databases in memory. Left to itself DuckDB puts what does not fit there into ./.tmp, whoever else works in that folder."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb


@contextmanager
def in_memory(spill: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory; what does not fit goes to `spill`, or to a folder of its own that is gone afterwards."""
    if spill is not None:
        with duckdb.connect(":memory:", config={"temp_directory": str(spill)}) as con:
            yield con
        return
    with (
        tempfile.TemporaryDirectory(prefix="ratecard-spill-", ignore_cleanup_errors=True) as folder,
        in_memory(Path(folder) / "spill") as con,
    ):
        yield con
