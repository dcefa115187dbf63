"""Writing small files so that whoever reads them sees the old or the new content, whole."""

from __future__ import annotations

import os
from pathlib import Path


def write_durably(path: Path, data: bytes, mode: int = 0o640) -> None:
    """Replace a file's content: written beside it, synced, renamed.

    Raises:
        OSError: no room, or no right; the old content stands and nothing half-written is left.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        give_to_owner(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_directory(path.parent)


def give_to_owner(path: Path) -> None:
    """What root makes in a directory of somebody else's is theirs, so that the daemon can use what `sudo edged` made.

    Raises:
        OSError: it is not there.
    """
    if os.geteuid() != 0:
        return
    owner, present = path.parent.stat(), path.lstat()
    if (owner.st_uid, owner.st_gid) != (present.st_uid, present.st_gid):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def sync_directory(directory: Path) -> None:
    """Make renames inside a directory outlast a power cut.

    Raises:
        OSError: the directory cannot be read.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
