"""Rows of one raw table to Parquet parts, each whole or not at all. The load generator's only use of pyarrow.

`add` runs on the event loop and must not stall it: rows become Arrow in batches of 64, and a thread encodes, writes
and syncs (pyarrow lets the loop run meanwhile).
"""

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.arrow import arrow_schema, write_options
from schemas.columns import REQUEST_TRACES, Table
from schemas.errors import PartError

_ROWS_PER_BATCH = 64  # 1 to 2 ms with 200 gaps a row
_ROWS_PER_GROUP = 1024  # of one time in the level: few different gaps, short places in their dictionary
_BYTES_PER_GROUP = 4 << 20
_GROUPS_WAITING = 4


class PartWriter:
    """Writes rows of `table` as parts at `path`, then `…-p001`, `…-p002`: a new one after `rows_per_part` or `seconds_per_part`.

    Each part has a temporary name until it is complete and on disk, so that a process that dies loses at most the
    part being written. The first temporary file is made at once: a read-only or missing folder shows before any load
    is sent. An error of the thread is raised by the next `add` or by `close`. Raises PartError.
    """

    def __init__(
        self, path: Path, table: Table = REQUEST_TRACES, *, rows_per_part: int = 20_000, seconds_per_part: float = 120.0
    ) -> None:
        self.path = path
        self.rows = 0
        self._table = table
        self._schema = arrow_schema(table)
        # pyarrow's first conversion imports pandas where there is one: a quarter of a second, and not the event loop's
        pa.RecordBatch.from_pylist([], schema=self._schema)
        self._rows_per_part = rows_per_part
        self._seconds_per_part = seconds_per_part
        self._pending: list[dict[str, Any]] = []
        self._batches: list[pa.RecordBatch] = []  # of the row group that is being filled
        self._group_bytes = 0
        self._part_rows = 0
        self._part_started = monotonic()
        self._finished: list[Path] = []
        self._failure: Exception | None = None
        self._room = threading.BoundedSemaphore(_GROUPS_WAITING)
        self._part: _Part | None = _Part(path, table)  # from here on the thread's
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="parts")

    @property
    def paths(self) -> list[Path]:
        """Parts that are complete and on disk, in order."""
        return list(self._finished)

    def add(self, row: dict[str, Any]) -> None:
        """Add a row with exactly the columns of the table. Raises PartError.

        Waits only where the disk is several row groups behind, since memory is bounded.
        """
        self._raise_failure()
        self._pending.append(row)
        self.rows += 1
        self._part_rows += 1
        part_is_full = self._part_rows >= self._rows_per_part
        if part_is_full or monotonic() - self._part_started >= self._seconds_per_part:
            self._hand_over()
            self._submit(self._finish)
            self._part_rows, self._part_started = 0, monotonic()
        elif len(self._pending) >= _ROWS_PER_BATCH:
            self._convert()
            if self._group_is_full():
                self._hand_over()

    def close(self) -> None:
        """Finish the last part: data and folder are on disk when this returns. Raises PartError; no half part is left."""
        self._hand_over()
        if self._part_rows or not self.rows:  # nothing was added: an empty part says that all went well
            self._submit(self._finish)
        self._thread.shutdown()
        self._raise_failure()

    def discard(self) -> None:
        """Give up: remove the part being written. Complete parts stay."""
        self._thread.shutdown(cancel_futures=True)
        self._drop()

    # -- on the event loop

    def _convert(self) -> None:
        rows, self._pending = self._pending, []
        if rows:
            batch = pa.RecordBatch.from_pylist(rows, schema=self._schema)
            self._batches.append(batch)
            self._group_bytes += batch.nbytes

    def _group_is_full(self) -> bool:
        return len(self._batches) * _ROWS_PER_BATCH >= _ROWS_PER_GROUP or self._group_bytes >= _BYTES_PER_GROUP

    def _hand_over(self) -> None:
        self._convert()
        batches, self._batches, self._group_bytes = self._batches, [], 0
        if batches:
            self._submit(self._write, batches)

    def _submit(self, work: Callable[..., None], *arguments: Any) -> None:
        self._room.acquire()
        self._thread.submit(self._guarded, work, *arguments)

    def _raise_failure(self) -> None:
        if isinstance(self._failure, OSError):
            raise _trouble(self.path, self._failure)
        if self._failure is not None:
            raise self._failure

    # -- in the thread

    def _guarded(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            if self._failure is None:
                work(*arguments)
        except Exception as error:
            self._failure = error
            self._drop()
        finally:
            self._room.release()

    def _write(self, batches: list[pa.RecordBatch]) -> None:
        if self._part is None:
            self._part = _Part(part_path(self.path, len(self._finished)), self._table)
        self._part.write(pa.Table.from_batches(batches, schema=self._schema))

    def _finish(self) -> None:
        if self._part is not None:
            self._part.finish()
            self._finished.append(self._part.path)
            self._part = None

    def _drop(self) -> None:
        if self._part is not None:
            self._part.discard()
            self._part = None


class _Part:
    """One file: under a temporary name, then complete under its own."""

    def __init__(self, path: Path, table: Table) -> None:
        self.path = path
        self._temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            self._file: BinaryIO = self._temporary.open("wb")
        except OSError as error:
            raise _trouble(path, error) from None
        self._writer = pq.ParquetWriter(self._file, arrow_schema(table), **write_options(table))

    def write(self, rows: pa.Table) -> None:
        self._writer.write_table(rows)

    def finish(self) -> None:
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.rename(self.path)
        _sync_folder(self.path.parent)

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self._writer.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)


def part_path(first: Path, number: int) -> Path:
    """Name of part `number` (0 is the first) beside `first`: `a1-l001-s000-p002.parquet`."""
    stem, dot, suffix = first.name.partition(".")
    return first.with_name(f"{stem}-p{number:03d}{dot}{suffix}") if number else first


def _trouble(path: Path, error: OSError) -> PartError:
    return PartError(
        f"cannot write {path}: {error.strerror or error}; free some space, or choose a folder that can be "
        "written to, and run again"
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
