"""The files of a build: the new warehouse, staging tables, what does not fit in memory. One build of a home at a time."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from schemas.errors import WarehouseError
from transforms.memory import in_memory
from warehouse.files import sync_file, sync_folder
from warehouse.home import Home, exclusive_in_turn

STORAGE_VERSION = "v1.2.0"
"""Storage that DuckDB 1.2 and every BI driver since can read."""
LITTLE_BYTES = 64 * 2**20
"""To read less, one thread takes no longer than several: each of hundreds of small statements would wake them and wait."""


@dataclass(frozen=True)
class Scratch:
    """Files of a build of `home`; all are gone after it."""

    home: Home

    @property
    def new(self) -> Path:
        """The warehouse that is being made."""
        return self.home.root / ".warehouse.duckdb.new"

    @property
    def compact(self) -> Path:
        """Its copy without the space that deleted rows left."""
        return self.home.root / ".warehouse.duckdb.compact"

    @property
    def staging(self) -> Path:
        """Staging tables, to keep memory free."""
        return self.home.root / ".staging.duckdb"

    @property
    def spill(self) -> Path:
        """What does not fit in memory."""
        return self.home.root / ".spill"

    def clear(self) -> None:
        """Remove the files."""
        for path in (self.new, self.compact, self.staging):
            path.unlink(missing_ok=True)
            _wal(path).unlink(missing_ok=True)
        shutil.rmtree(self.spill, ignore_errors=True)

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The new file as `warehouse`, the default; written out at the end.

        Nobody reads it before it is whole, so that there is nothing to log ahead.
        """
        with in_memory(self.spill) as con:
            attach(con, self.new, "warehouse")
            con.execute("use warehouse")
            yield con
            con.execute("use memory; checkpoint warehouse; detach warehouse")

    def prepare(self, con: duckdb.DuckDBPyConnection, read_bytes: int) -> None:
        """Keep much staging out of memory, and use as many threads as so much data to read is worth: one, or all."""
        use_threads(con, read_bytes)
        if read_bytes >= LITTLE_BYTES:
            attach(con, self.staging, "staging")

    def publish(self) -> None:
        """Swap the new file in. Raises OSError, and then what was published is untouched."""
        sync_file(self.new)
        # of somebody who wrote into the old file: DuckDB would apply it to the new one
        _wal(self.home.warehouse).unlink(missing_ok=True)
        self.new.replace(self.home.warehouse)
        sync_folder(self.home.root)


def use_threads(con: duckdb.DuckDBPyConnection, read_bytes: int) -> None:
    """Use one thread where there is little to read, or else all."""
    con.execute("set threads = 1" if read_bytes < LITTLE_BYTES else "reset threads")


def attach(con: duckdb.DuckDBPyConnection, path: Path, name: str) -> None:
    """Attach a file that only this build sees."""
    quoted = str(path).replace("'", "''")
    con.execute(f"attach '{quoted}' as {name} (storage_version '{STORAGE_VERSION}', recovery_mode 'no_wal_writes')")


def written_ahead(path: Path) -> bool:
    """Whether a DuckDB file has changes beside it that are not in it."""
    return _wal(path).exists()


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


@contextmanager
def scratch(home: Home, wait_s: float) -> Iterator[Scratch]:
    """The files of a build, once no other build runs; what a killed one left is removed first.

    Raises:
        WarehouseError: another build runs, and did for `wait_s` seconds.

    """
    with one_at_a_time(home, wait_s):
        files = Scratch(home)
        files.clear()
        try:
            yield files
        finally:
            files.clear()


@contextmanager
def one_at_a_time(home: Home, wait_s: float) -> Iterator[None]:
    """Hold the lock of the builds: whoever has it may take parts away that a build would read."""
    busy = WarehouseError("another process is building the warehouse: try again when it is done")
    with exclusive_in_turn(home.locks / ".build.lock", wait_s, busy):
        yield
