"""The data home: which folder holds what, and the lock that lets one load at a time reach an endpoint."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from schemas.errors import EndpointBusyError, LandingError, RatecardError, UsageError


@dataclass(frozen=True)
class Home:
    """Folders of one data home (`--home`, or RATECARD_HOME, or ./data)."""

    root: Path

    @property
    def incoming(self) -> Path:
        """Runs in progress: plan, specs and parts not yet checked."""
        return self.root / "incoming"

    @property
    def raw(self) -> Path:
        """Immutable: trace parts, manifests and catalog snapshots."""
        return self.root / "raw"

    @property
    def quarantine(self) -> Path:
        """Rows and parts that broke the contract, with the reason."""
        return self.root / "quarantine"

    @property
    def locks(self) -> Path:
        """One lock file an endpoint."""
        return self.root / "locks"

    @property
    def models(self) -> Path:
        """Models made for launched engines."""
        return self.root / "models"

    @property
    def told(self) -> Path:
        """One file for each change of costs that somebody was told of."""
        return self.root / "told"

    @property
    def logs(self) -> Path:
        """What launched engines said."""
        return self.root / "logs"

    @property
    def warehouse(self) -> Path:
        """The published DuckDB file."""
        return self.root / "warehouse.duckdb"

    @property
    def report(self) -> Path:
        """The published HTML report."""
        return self.root / "report.html"

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            LandingError: the home cannot be written.

        """
        try:
            for folder in (self.incoming, self.raw, self.quarantine, self.locks):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.locks / f".write-test-{os.getpid()}"
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            raise LandingError(
                f"the data home {self.root} cannot be written ({error.strerror}): free space or permissions there, "
                "or choose another with --home DIR or RATECARD_HOME"
            ) from error


def resolve(root: str | Path | None = None) -> Home:
    """Home at `root`, else RATECARD_HOME, else ./data.

    Raises:
        UsageError: DuckDB cannot open files in a folder of that name.

    """
    folder = Path(root or os.environ.get("RATECARD_HOME") or "data").absolute()
    if "?" in str(folder):
        raise UsageError(
            f"the data home {folder} has a question mark in its path, which DuckDB takes for options: choose another"
        )
    return Home(folder)


@contextmanager
def exclusive(path: Path) -> Iterator[int | None]:
    """Hold the kernel's lock on `path` without waiting: yields its descriptor, or None where another has it.

    The lock lives as long as any process holds the descriptor: hand it to workers (`pass_fds`) and it stays until
    the last of them is gone, however their parent died.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def exclusive_in_turn(path: Path, wait_s: float, busy: RatecardError) -> Iterator[None]:
    """Hold the lock on `path`, waiting up to `wait_s` seconds for whoever has it; then raises `busy`."""
    deadline = time.monotonic() + wait_s
    while True:
        with exclusive(path) as descriptor:
            if descriptor is not None:
                yield
                return
        if time.monotonic() >= deadline:
            raise busy
        time.sleep(0.2)


@contextmanager
def endpoint_lock(home: Home, endpoint: str, holder: str) -> Iterator[int]:
    """Hold `endpoint` for one load; `holder` is shown to whoever finds it taken. Yields the lock's descriptor.

    Raises:
        EndpointBusyError: another run has it.

    """
    path = home.locks / f"{endpoint}.lock"
    with exclusive(path) as descriptor:
        if descriptor is None:
            raise EndpointBusyError(
                f"endpoint {endpoint} is being measured by another run ({_holder(path)}): two loads at once would spoil both"
            )
        note = {"pid": os.getpid(), "run": holder, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)
        yield descriptor


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text())
        return f"{note['run']}, process {note['pid']}, since {note['since']}"
    except (OSError, ValueError, KeyError):
        return "starting up"
