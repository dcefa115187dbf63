"""Files that are either whole or not there, and the words for a disk that takes no more."""

from __future__ import annotations

import errno
import fcntl
import io
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edged.errors import EdgedError

_log = logging.getLogger(__name__)

FULL = (errno.ENOSPC, errno.EDQUOT)


class StorageError(EdgedError):
    """A file cannot be written: see the named directory, its space and permissions; what stood there is unchanged."""


@contextmanager
def storage(directory: Path) -> Iterator[None]:
    """Explains what the operating system refuses.

    Raises:
        StorageError: instead of any OSError.
    """
    try:
        yield
    except OSError as error:
        fix = "free space there or name another directory" if error.errno in FULL else "see its permissions"
        raise StorageError(f"{directory}: cannot be written ({error.strerror or error})", fix=fix) from error


def refuse_closed(folder: Path) -> None:
    """Look before the work whether files can be written to a folder, which may have to be made.

    Raises:
        StorageError: they cannot.
    """
    existing = next((place for place in (folder, *folder.parents) if place.exists()), Path())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise StorageError(f"{existing}: no files can be written there", fix="name another directory")


def write_whole(path: Path, content: bytes | memoryview, *, keep: Path | None = None) -> None:
    """Write beside the place and rename, so that a kill or a full disk leaves the old file or the new one.

    Each process writes its own file beside it: several may train into one run directory.

    Args:
        path: where it goes; its directory is made.
        content: everything.
        keep: where the file that stood at `path` goes.

    Raises:
        StorageError: the disk is full or refuses.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with storage(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            if keep is not None and path.is_file():
                path.replace(keep)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """A NumPy archive (``.npz``), as by `write_whole`.

    Raises:
        StorageError: the disk is full or refuses.
    """
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    write_whole(path, content.getbuffer())


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold a lock: whatever process asks for it, on any machine, waits until this one is done, or dead.

    Raises:
        StorageError: it cannot be made.
    """
    with storage(lock.parent):
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.warning("%s: waiting for another process that writes there", lock.parent)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            pass
        yield


def reserve(path: Path, n_bytes: int) -> None:
    """Take the space of a new file that is mapped: writing to a map on a full disk ends the process.

    Raises:
        StorageError: there is not enough; the file is gone again.
    """
    with storage(path.parent), path.open("r+b") as handle:
        try:
            if n_bytes > shutil.disk_usage(path).free:  # a try would fill the disk for everybody, if for a moment
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.posix_fallocate(handle.fileno(), 0, n_bytes)
        except OSError:
            path.unlink()
            raise
