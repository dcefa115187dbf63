"""Where a subscriber is, in a small file: so that it goes on there, be it after its own restart or the daemon's.

The file is made whole and synced once, and overwritten in place from then on: one small write for an event, which no
kill of the process can tear or undo. It is synced once a second; after a power cut some events may be given again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from edged.errors import UsageError
from edged.files import write_durably

_log = logging.getLogger(__name__)

_MAX_BYTES = 4096
_RECORD_BYTES = 512
"""A sector of a disk, which is written whole or not at all."""
_SYNC_EVERY_S = 1.0
_MAX_SEQ = 1 << 62


@dataclass(frozen=True, slots=True)
class Position:
    """A place among the events of a daemon.

    Attributes:
        seq: everything up to this number has been dealt with.
        journal: which numbering it belongs to; "" = whatever the daemon's is.
    """

    seq: int
    journal: str = ""


class CursorFile:
    """Written whole or not at all.

    Args:
        path: the file; its directory must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stored: Position | None = None
        self._is_made = False
        self._is_synced, self._synced_s = True, 0.0  # by the monotonic clock

    def load(self) -> Position | None:
        """What was stored, or None: nothing was. A damaged file gives the beginning: better twice than never.

        Raises:
            UsageError: there is something that cannot be read at all, such as a directory.
        """
        try:
            with self.path.open("rb") as handle:
                data = handle.read(_MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror}", fix="name a file that may be written") from error
        self._stored = _parsed(data)
        if self._stored is None:
            _log.warning("%s: damaged; everything the journal holds is given again", self.path)
        return self._stored or Position(0)

    def save(self, position: Position) -> None:
        """Store, if it is new.

        Raises:
            UsageError: the file cannot be written.
        """
        if position == self._stored:
            return
        data = json.dumps(asdict(position)).encode().ljust(_RECORD_BYTES)
        try:
            if not (self._is_made and self._overwritten(data)):
                write_durably(self.path, data)
                self._is_made, self._synced_s, self._is_synced = True, time.monotonic(), True
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror}", fix="name a file that may be written") from error
        self._stored = position

    def close(self) -> None:
        """Let what was stored last outlast a power cut; where the disk refuses that, some events come again then."""
        if self._is_synced:
            return
        with contextlib.suppress(OSError):
            self._overwritten(b"", sync=True)

    def _overwritten(self, data: bytes, *, sync: bool = False) -> bool:
        """Whether the file was there as we made it, and has the new content now.

        Raises:
            OSError: the disk refuses.
        """
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # it was removed, or replaced by something else
            return False
        try:
            if os.fstat(descriptor).st_size != _RECORD_BYTES or len(data) > _RECORD_BYTES:
                return False
            os.pwrite(descriptor, data, 0)
            self._is_synced = sync or time.monotonic() - self._synced_s > _SYNC_EVERY_S
            if self._is_synced:
                os.fdatasync(descriptor)
                self._synced_s = time.monotonic()
        finally:
            os.close(descriptor)
        return True


def _parsed(data: bytes) -> Position | None:
    try:
        facts = json.loads(data)
        seq, journal = facts["seq"], facts["journal"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    is_position = type(seq) is int and 0 <= seq <= _MAX_SEQ and isinstance(journal, str)
    return Position(seq, journal) if is_position else None
