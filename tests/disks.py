"""A small disk of its own, to fill up."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(at: Path, mib: int = 32) -> Iterator[Path]:
    """A file system of so many MiB, mounted at `at`; skips the test where this user may not mount."""
    if shutil.which("mount") is None:
        pytest.skip("no disk can be mounted here")
    at.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", at], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)


@contextmanager
def filled(disk: Path, free_kib: int = 0) -> Iterator[None]:
    """The disk has only so much left."""
    filler = disk / "filler"
    available = int(subprocess.check_output(["df", "--output=avail", "-k", disk], text=True).split()[-1])
    filler.write_bytes(bytes((available - free_kib) << 10))
    try:
        yield
    finally:
        filler.unlink()
