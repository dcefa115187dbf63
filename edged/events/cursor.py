"""Where a subscriber is, in a small file: so that it goes on there, be it after its own restart or the daemon's."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from edged.errors import UsageError
from edged.files import write_durably

_log = logging.getLogger(__name__)

_MAX_BYTES = 4096
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
        try:
            write_durably(self.path, json.dumps(asdict(position)).encode())
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror}", fix="name a file that may be written") from error
        self._stored = position


def _parsed(data: bytes) -> Position | None:
    try:
        facts = json.loads(data)
        seq, journal = facts["seq"], facts["journal"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    is_position = type(seq) is int and 0 <= seq <= _MAX_SEQ and isinstance(journal, str)
    return Position(seq, journal) if is_position else None
