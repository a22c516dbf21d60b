"""Writing files so that a reader sees all or nothing: temporary name, fsync, rename."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from schemas.errors import LandingError

_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT))


def is_full(error: BaseException) -> bool:
    """Whether an error of the system, or of a library, says that there is no space to write."""
    return any(said in str(error) for said in _FULL)


def reason(error: BaseException) -> str:
    """Why something could not be written; of a full disk in the system's words, which libraries bury in their own."""
    said = next((said for said in _FULL if said in str(error)), None)
    return said or getattr(error, "strerror", None) or str(error)


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it and rename it to `path`.

    Raises:
        LandingError: no space, no permission; the temporary file is removed and `path` is as it was.

    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        advice = "Make it writable" if error.errno in _NOT_ALLOWED else "Free space there"
        raise LandingError(
            f"cannot write {path}: {reason(error)}. {advice} and run again: nothing was changed"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """`write_whole` of `content`."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_whole(path, write)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, by reference where the file system can. Raises OSError."""
    with source.open("rb") as read, target.open("wb") as written:
        try:
            while os.copy_file_range(read.fileno(), written.fileno(), _CHUNK):
                pass
        except (AttributeError, OSError) as error:
            # not Linux, or a file system that has no such call
            if isinstance(error, OSError) and error.errno not in _CANNOT:
                raise
            read.seek(0)
            written.seek(0)
            shutil.copyfileobj(read, written, _CHUNK)


_CHUNK = 1 << 27
_CANNOT = (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP)


@contextlib.contextmanager
def synced_beside(path: Path) -> Iterator[None]:
    """Sync what a file holds while the body runs, so that its last sync has little to do. Raises OSError at the end."""
    with ThreadPoolExecutor(1) as pool:
        synced = pool.submit(sync_file, path)
        yield
        synced.result()


def sync_file(path: Path) -> None:
    """Make what a file holds survive a power cut. Raises OSError."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
