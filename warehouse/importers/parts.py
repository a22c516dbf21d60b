"""Tables of traces as Parquet parts in `incoming/`: a thread encodes and writes one while the next is being read."""

import gc
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.arrow import write_options
from schemas.columns import REQUEST_TRACES
from warehouse.importers.content import Content

ROWS_PER_PART = 65_536


@contextmanager
def collector_off() -> Iterator[None]:
    """Python's garbage collector would go through a batch's records again and again; nothing of theirs is circular."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Parts:
    """Parts of one level, `<name>.parquet`, `<name>-p001.parquet`, …; memory holds two batches at most. Raises OSError."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._writer: pq.ParquetWriter | None = None
        self._part = self._rows = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="parts")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._thread.shutdown()
            self._end()

    def add(self, table: pa.Table, content: Content) -> None:
        """Write `table`, and add it to `content`."""
        self._wait()
        self._pending = self._thread.submit(self._write, table, content)

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()

    def _write(self, table: pa.Table, content: Content) -> None:
        content.add(table)
        if self._writer is None:
            name = f"{self._name}-p{self._part:03d}" if self._part else self._name
            self._writer = pq.ParquetWriter(
                self._folder / f"{name}.parquet", table.schema, **write_options(REQUEST_TRACES)
            )
        self._writer.write_table(table)
        self._rows += table.num_rows
        if self._rows >= ROWS_PER_PART:
            self._end()

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._part, self._rows = self._part + 1, 0
