"""A Postgres server of one's own: a fresh cluster in a temporary folder, reached by a socket there, gone afterwards."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OWNER = "owner"
"""Superuser of the cluster; anybody who reaches the socket may be anybody."""


def binaries() -> Path | None:
    """Folder of the newest initdb and postgres of this machine; null: none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


@dataclass(frozen=True)
class Server:
    """A running server: `folder` has its socket and its data."""

    folder: Path
    bin: Path

    def dsn(self, user: str = OWNER, database: str = "postgres") -> str:
        """How a user reaches a database in it."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def psql(self, script: str, user: str = OWNER) -> str:
        """What psql prints for a script: rows, unaligned, without headers. CalledProcessError where one fails."""
        command = [str(self.bin / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", script, self.dsn(user)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def server(*settings: str) -> Iterator[Server]:
    """Start a server with `name=value` settings; RuntimeError where Postgres is not installed."""
    found = binaries()
    if found is None:
        raise RuntimeError("Postgres is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        who = _unprivileged(folder)
        data = folder / "data"
        init: list[str | Path] = [
            found / "initdb",
            "-D",
            data,
            "-U",
            OWNER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(init, check=True, capture_output=True, cwd=folder, **who)
        options = [f"-c{setting}" for setting in ("listen_addresses=", "fsync=off", *settings)]
        command: list[str | Path] = [found / "postgres", "-D", data, "-k", folder, *options]
        with (folder / "log").open("wb") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=log, cwd=folder, **who
            )
        try:
            _wait_for(process, Server(folder, found))
            yield Server(folder, found)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> dict[str, Any]:
    """Who runs the server: Postgres refuses root."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _wait_for(process: subprocess.Popen[bytes], started: Server) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        asked = subprocess.run([started.bin / "pg_isready", "-q", "-h", started.folder], check=False)
        if asked.returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError(f"Postgres did not start: {(started.folder / 'log').read_text(errors='replace')[-2000:]}")
