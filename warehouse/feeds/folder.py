"""A folder that is replaced in whole: written beside, then exchanged, so that nobody ever sees half of it.

A note in it lists what was written. Only a folder with such a note, and with no file that the note does not know, is
ever replaced.
"""

import ctypes
import errno
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.errors import FeedError
from warehouse.files import reason, sync_file, sync_folder

NOTE = "_ratecard_export.json"
"""Readers of hive-partitioned folders leave names with an underscore alone."""
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@dataclass
class Folder:
    """The folder being written: `path` is where, `old` what it will replace, `about` goes into the note."""

    path: Path
    old: Path
    old_files: dict[str, int]
    about: dict[str, Any] = field(default_factory=dict)

    def keep(self, name: str) -> bool:
        """Take a file over from the old folder, without writing it again; False where it has none of that name."""
        file, kept = self.old / name, self.path / name
        if name not in self.old_files or not file.is_file() or file.stat().st_size != self.old_files[name]:
            return False
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            kept.hardlink_to(file)
        except OSError:
            shutil.copy2(file, kept)
        return True


@contextmanager
def replacing(target: Path) -> Iterator[Folder]:
    """Yield a folder to fill, which then takes the place of `target`; after an error `target` is as it was.

    Raises:
        FeedError: `target` is not ours, is being written by another process, or cannot be written.

    """
    target = target.resolve()
    new, aside = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(new, target):
            if not target.exists() and aside.is_dir():
                aside.rename(target)
            known = _ours(target)
            _empty(new)
            folder = Folder(new, target, known)
            yield folder
            _close(folder)
            _take_place(new, target, aside)
    except OSError as error:
        raise FeedError(
            f"cannot write {target}: {reason(error)}. Nothing was changed there: free space or permissions, then "
            "run again, or choose another folder"
        ) from error


@contextmanager
def _alone(new: Path, target: Path) -> Iterator[None]:
    """Hold the folder being written for one process; gone afterwards."""
    while True:
        new.mkdir(exist_ok=True)
        descriptor = os.open(new, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FeedError(
                    f"another process is exporting to {target}: try again when it is done. Nothing was changed"
                ) from None
            # between the two calls another process may have put it in place
            if new.exists() and new.stat().st_ino == os.fstat(descriptor).st_ino:
                try:
                    yield
                finally:
                    shutil.rmtree(new, ignore_errors=True)
                return
        finally:
            os.close(descriptor)


def _ours(target: Path) -> dict[str, int]:
    """Files of an earlier export and their bytes. Raises FeedError where it is none, or holds something else."""
    if not target.exists():
        return {}
    if not target.is_dir():
        raise FeedError(f"{target} is a file: name a folder to export to")
    found = {str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()}
    if not found:
        return {}
    try:
        known: dict[str, int] = json.loads((target / NOTE).read_bytes())["files"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise FeedError(
            f"{target} is not an export of Ratecard ({NOTE} is missing or damaged), and is left as it is: choose "
            "another folder, or empty that one yourself"
        ) from None
    foreign = sorted(found - known.keys() - {NOTE})
    if foreign:
        raise FeedError(
            f"{target} holds files that Ratecard did not write, which an export would remove: {', '.join(foreign[:5])}"
            f"{' …' if len(foreign) > 5 else ''}. Move them away; nothing was changed"
        )
    return known


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _close(folder: Folder) -> None:
    """Write the note, and make everything survive a power cut."""
    files = {str(path.relative_to(folder.path)): path for path in sorted(folder.path.rglob("*")) if path.is_file()}
    note = {
        **folder.about,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {name: path.stat().st_size for name, path in files.items()},
    }
    (folder.path / NOTE).write_text(json.dumps(note, indent=1))
    for path in (*files.values(), folder.path / NOTE):
        sync_file(path)
    for below in (folder.path, *(path for path in folder.path.rglob("*") if path.is_dir())):
        sync_folder(below)


def _take_place(new: Path, target: Path, aside: Path) -> None:
    if not target.exists():
        new.rename(target)
    elif not exchange(new, target):
        # the file system cannot exchange: there is no target for an instant, which the next export mends after a crash
        shutil.rmtree(aside, ignore_errors=True)
        target.rename(aside)
        new.rename(target)
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(target.parent)


def exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where the system or its file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))
