"""Trace rows to one Parquet part: whole or not at all. The load generator's only use of pyarrow."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.arrow import arrow_schema, write_options
from schemas.columns import REQUEST_TRACES
from schemas.errors import PartError

_ROWS_PER_GROUP = 4096


class PartWriter:
    """Writes rows of `request_traces` under a temporary name and gives the part its name when it is complete.

    The temporary file is made at once, so that a read-only or missing folder shows before any load is sent. Raises
    PartError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        self._schema = arrow_schema(REQUEST_TRACES)
        self._pending: list[dict[str, Any]] = []
        try:
            self._file = self._temporary.open("wb")
        except OSError as error:
            raise self._trouble(error) from None
        self._writer = pq.ParquetWriter(self._file, self._schema, **write_options(REQUEST_TRACES))

    def add(self, row: dict[str, Any]) -> None:
        """Add a row with exactly the columns of the contract; written once a row group is full. Raises PartError."""
        self._pending.append(row)
        self.rows += 1
        if len(self._pending) >= _ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        """Finish the part: data and folder are on disk when this returns. Raises PartError; nothing is left then."""
        self._flush()
        try:
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.rename(self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            self.discard()
            raise self._trouble(error) from None

    def discard(self) -> None:
        """Give up: remove the temporary file."""
        with contextlib.suppress(OSError):
            self._writer.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _flush(self) -> None:
        rows, self._pending = self._pending, []
        try:
            if rows:
                self._writer.write_table(pa.Table.from_pylist(rows, schema=self._schema))
        except OSError as error:
            self.discard()
            raise self._trouble(error) from None

    def _trouble(self, error: OSError) -> PartError:
        return PartError(
            f"cannot write {self.path}: {error.strerror or error}; free some space, or choose a folder that can be "
            "written to, and run again"
        )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
