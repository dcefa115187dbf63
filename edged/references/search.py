"""Finding audio files among what an operator names, whatever else lies there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from edged.errors import EnrolmentError

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".mp3", ".w64", ".rf64"})
MAX_FILES = 10_000
MAX_ENTRIES = 1_000_000
"""Of one directory and all below it: what is larger holds no clips of a machine."""


def find_audio(paths: Sequence[Path]) -> list[Path]:
    """Audio files among files and directories (searched through, links to directories not followed), sorted.

    Raises:
        EnrolmentError: a path is absent or cannot be read, a directory holds no audio, or there are too many files.
    """
    found: list[Path] = []
    for path in paths:
        found += _below(path) if _is_directory(path) else [path]
        if len(found) > MAX_FILES:
            raise EnrolmentError(f"more than {MAX_FILES} files", fix="enrol a selection")
    if not found:
        raise EnrolmentError("no clips were named", fix="use --clips DIR or name files")
    return found


def printable_name(text: str) -> str:
    r"""A name that can be printed and stored: bytes that are no text, and control characters, are shown as escapes.

    >>> printable_name("a" + chr(0xDCFF) + chr(10) + ".wav")
    'a\\xff\\n.wav'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte of a file name that is no text
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def _is_directory(path: Path) -> bool:
    """Whether a named path is a directory; anything but a directory or a regular file is refused.

    Raises:
        EnrolmentError: it is absent, or of another kind.
    """
    name = printable_name(str(path))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise EnrolmentError(f"{name}: no such file or directory", fix="check the path") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise EnrolmentError(f"{name}: {reason}", fix="check the path and its permissions") from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise EnrolmentError(f"{name}: neither a file nor a directory", fix="name recordings, no devices or pipes")
    return stat.S_ISDIR(mode)


def _below(directory: Path) -> list[Path]:
    found: list[Path] = []
    for path in _files(directory):
        if path.suffix.lower() in AUDIO_SUFFIXES and _is_regular(path):
            found.append(path)
            if len(found) > MAX_FILES:
                break
    if not found:
        raise EnrolmentError(
            f"{printable_name(str(directory))}: holds no audio files", fix="name a directory with WAV or FLAC clips"
        )
    return sorted(found)


def _files(directory: Path) -> Iterator[Path]:
    """Everything below a directory that is not one itself, without what is hidden (``._`` files of macOS archives)."""
    n_entries = 0

    def refuse(error: OSError) -> None:
        name = printable_name(str(error.filename))
        raise EnrolmentError(f"{name}: {error.strerror}", fix="check its owner and permissions") from error

    for parent, directories, files in os.walk(directory, onerror=refuse):
        n_entries += len(directories) + len(files)
        if n_entries > MAX_ENTRIES:
            name = printable_name(str(directory))
            raise EnrolmentError(f"{name}: more than {MAX_ENTRIES} entries", fix="name the folder of the clips")
        directories[:] = [name for name in directories if not name.startswith(".")]
        yield from (Path(parent) / name for name in files if not name.startswith("."))


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:  # a link to nowhere, or to itself
        return False
