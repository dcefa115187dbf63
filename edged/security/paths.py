"""Files that a peer may name: below configured directories, through no link, and nothing but regular files.

Every step of a path is opened from the step before without following links. What was checked is what is read, however
fast somebody moves things about meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath

from edged.errors import UsageError
from edged.references.search import AUDIO_SUFFIXES, MAX_ENTRIES, MAX_FILES, printable_name

MAX_DEPTH = 8
_MAX_PATH_BYTES = 4096
_STEP = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FIX = "send the file itself, as `edged enroll` does, or add its directory to control.directories"

Take = Callable[[str, int], None]
"""Is given a file's name and a descriptor to read it by, which is closed afterwards."""


@contextmanager
def opened_below(directories: Sequence[Path], text: str) -> Iterator[int]:
    """A descriptor of the file or directory that a peer named.

    Raises:
        UsageError: it lies elsewhere, is reached through a link, is absent, or is neither file nor directory.
    """
    root, steps = _split(directories, text)
    descriptor = _opened(text, str(root), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in steps:
            outer, descriptor = descriptor, _opened(text, step, _STEP, descriptor)
            os.close(outer)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise UsageError(f"{printable_name(text)}: neither a file nor a directory", fix="name recordings")
        yield descriptor
    finally:
        os.close(descriptor)


def each_recording(directories: Sequence[Path], text: str, take: Take) -> int:
    """Give the file, or every recording below the directory, that a peer named; how many there were.

    Raises:
        UsageError: as :func:`opened_below`; there are none, too many, or one that cannot be read.
    """
    with opened_below(directories, text) as descriptor:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            take(PurePosixPath(text).name, descriptor)
            return 1
        n_taken = 0
        for name, inner in _recordings(descriptor, [MAX_ENTRIES], MAX_DEPTH):
            n_taken += 1
            if n_taken > MAX_FILES:
                raise UsageError(f"{printable_name(text)}: more than {MAX_FILES} recordings", fix="enrol a selection")
            take(name, inner)
    if not n_taken:
        raise UsageError(f"{printable_name(text)}: holds no audio files", fix="name a directory with WAV or FLAC clips")
    return n_taken


def _split(directories: Sequence[Path], text: str) -> tuple[Path, tuple[str, ...]]:
    """The configured directory that a path begins with, and the steps from there."""
    path = PurePosixPath(text)
    is_plain = path.is_absolute() and ".." not in path.parts and "\0" not in text
    if is_plain and len(os.fsencode(text)) <= _MAX_PATH_BYTES:
        for directory in directories:
            if path.is_relative_to(directory):
                return directory, path.relative_to(directory).parts
    raise UsageError(f"{printable_name(text[:200])}: outside of what control messages may name", fix=_FIX)


def _opened(text: str, step: str, flags: int, directory: int | None = None) -> int:
    try:
        return os.open(step, flags, dir_fd=directory)
    except OSError as error:
        reasons = {errno.ENOENT: "no such file or directory", errno.ELOOP: "a link, and links are not followed"}
        reason = reasons.get(error.errno or 0, error.strerror or "cannot be opened")
        raise UsageError(f"{printable_name(text)}: {reason}", fix="check the path and its permissions") from error


def _recordings(directory: int, entries_left: list[int], depth_left: int) -> Iterator[tuple[str, int]]:
    """Name and descriptor of every regular audio file below a directory, in the order of their names."""
    with os.scandir(directory) as entries:
        names = sorted(entry.name for entry in islice(entries, entries_left[0] + 1))
    entries_left[0] -= len(names)
    if entries_left[0] < 0:
        raise UsageError(f"more than {MAX_ENTRIES} entries", fix="name the folder of the clips")
    for name in names:
        with _inner(directory, name, depth_left) as (inner, mode):
            if stat.S_ISDIR(mode) and depth_left > 0:
                yield from _recordings(inner, entries_left, depth_left - 1)
            elif _is_recording(name, mode):
                yield name, inner


@contextmanager
def _inner(directory: int, name: str, depth_left: int) -> Iterator[tuple[int, int]]:
    """Descriptor and mode of an entry; a mode of 0 is none that is looked into: a link, or gone meanwhile.

    Raises:
        UsageError: it is a recording or a directory, and cannot be read: the rest would be taken for all there is.
    """
    try:
        descriptor = os.open(name, _STEP, dir_fd=directory)
    except OSError as error:
        if _is_wanted(directory, name, depth_left):
            reason = error.strerror or "cannot be opened"
            raise UsageError(f"{printable_name(name)}: {reason}", fix="check its owner and permissions") from error
        yield -1, 0
        return
    try:
        yield descriptor, os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)


def _is_wanted(directory: int, name: str, depth_left: int) -> bool:
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except OSError:
        return False
    return _is_recording(name, mode) or (stat.S_ISDIR(mode) and depth_left > 0)


def _is_recording(name: str, mode: int) -> bool:
    return stat.S_ISREG(mode) and PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES
