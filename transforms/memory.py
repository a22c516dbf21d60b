"""Where DuckDB puts what does not fit into memory: for each process a folder of its own.

Left to itself it takes ./.tmp for a database in memory, and FILE.tmp for one in a file, whoever else does. Two processes
that spill into one folder at once crash, or read each other's rows (seen with 1.5.5, both reading one file).
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from secrets import token_hex

import duckdb


@contextmanager
def in_memory(spill: Path | None = None, *, threads: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory; what does not fit goes to `spill`, or to a folder of its own that is gone afterwards."""
    config: dict[str, str | bool | int | float | list[str]] = {"temp_directory": str(spill or _place(token_hex(4)))}
    if threads is not None:
        config["threads"] = threads
    with duckdb.connect(":memory:", config=config) as con:
        yield con


def spill_apart(con: duckdb.DuckDBPyConnection) -> None:
    """Let the readers of a file spill where no other process does."""
    # another connection of this process to the file may have spilt already: then the folder stays
    with suppress(duckdb.Error):
        con.execute("set temp_directory = ?", [_place("files")])


def _place(name: str) -> str:
    """A folder of this process; none where its disk is full: DuckDB then says what does not fit into memory."""
    try:
        return str(_apart() / name)
    except OSError:
        return ""


def _apart() -> Path:
    folder = _folder_of(os.getpid())
    folder.mkdir(exist_ok=True)  # who clears /tmp may have taken it away
    return folder


@cache
def _folder_of(process: int) -> Path:
    """A folder that nobody but this process writes to, a child that it forked included; it goes with the process."""
    folder = tempfile.mkdtemp(prefix=f"ratecard-spill-{process}-")
    atexit.register(_remove, folder, process)
    return Path(folder)


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # a forked child ends with its parent's handlers
        shutil.rmtree(folder, ignore_errors=True)
