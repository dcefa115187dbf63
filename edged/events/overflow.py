"""Events the journal could not take: in memory while the daemon runs, in a file from one life to the next.

    <state>/journal.mark       the highest number given out while the journal failed, overwritten in place
    <state>/journal.waiting    what was still waiting when the daemon stopped, one JSON object a line

A number is never given to a second event: the mark is made before its first use needs room on the disk, so it can be
moved on while the disk is full. Where a process is killed then, what it held is gone from the journal (it had been
published), and the hole in the numbers says so.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections import deque
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from pydantic import ValidationError

from edged.events.retention import is_status
from edged.events.schema import Journalled, parse_event
from edged.files import write_durably

_log = logging.getLogger(__name__)

MARK_NAME, WAITING_NAME = "journal.mark", "journal.waiting"
KEPT_EVENTS = 10_000
MAX_WAITING_BYTES = 64 << 20
_MARK_BYTES = 20
_HIGHEST = 1 << 62

Timed = tuple[Journalled, int]
"""An event and its wall time in nanoseconds."""


class Overflow:
    """Bounded: beyond `KEPT_EVENTS` the oldest status events go first, then the oldest alarms, counted.

    The same beyond `MAX_WAITING_BYTES` where it becomes a file.
    Owned by the publisher's thread; `events` may be called from any.

    Attributes:
        lost: events that will never be in the journal.
    """

    def __init__(self, state_dir: Path) -> None:
        self._mark, self._file = state_dir / MARK_NAME, state_dir / WAITING_NAME
        self._waiting: deque[Timed] = deque()
        self.lost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def events(self) -> list[Journalled]:
        """What waits, oldest first; for any thread."""
        return [event for event, _ in self._waiting.copy()]  # the copy is one step for other threads

    def restore(self, stored_seq: int) -> int:
        """Take over what the last life left beyond what is stored; the highest number that was ever given out, or 0."""
        self._waiting.extend(item for item in _read_waiting(self._file) if item[0].seq > stored_seq)
        marked = _read_mark(self._mark)
        with contextlib.suppress(OSError):  # no room: then no number is promised to be new after a kill
            if not self._mark.exists():
                write_durably(self._mark, _mark(0))
        return max([marked, *(event.seq for event, _ in self._waiting)])

    def add(self, numbered: Iterable[Timed]) -> None:
        """Keep events until the journal can take them."""
        self._waiting.extend(numbered)
        surplus = len(self._waiting) - KEPT_EVENTS
        if surplus > 0:
            self._forget(surplus)

    def first(self, n: int) -> list[Timed]:
        """The oldest ``n``."""
        return [item for item, _ in zip(self._waiting, range(n), strict=False)]

    def drop(self, n: int) -> None:
        """The oldest ``n`` are in the journal now."""
        for _ in range(n):
            self._waiting.popleft()

    def mark(self, seq: int) -> None:
        """Note the highest number given out, without room on the disk."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self._mark, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(descriptor, _mark(seq), 0)
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

    def settle(self) -> None:
        """At the end of a life: leave nothing, or a file of what still waits for the next life."""
        if not self._waiting:
            self.is_stored()
            return
        lines = self._lines()
        if surplus := len(self._waiting) - len(lines):
            self.lost += surplus
            _log.error("%s: %d events will be missing in the journal: no room for them", self._file, surplus)
        try:
            write_durably(self._file, b"\n".join(lines))
        except OSError as error:
            self.lost += len(lines)
            _log.error("%s: %d events will be missing in the journal: %s", self._file, len(lines), error)

    def is_stored(self) -> None:
        """The journal has taken everything: the last life's file is of no use any more, nor of harm where it stays."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _lines(self) -> list[bytes]:
        """What waits, as the next life reads it: of more than that takes, alarms and the newest first."""
        lines = [json.dumps([wall_ns, event.fields()]).encode() for event, wall_ns in self._waiting]
        dearest = sorted(range(len(lines)), key=lambda at: (is_status(self._waiting[at][0].topic), -at))
        sizes = accumulate(len(lines[at]) + 1 for at in dearest)
        kept = [at for at, size in zip(dearest, sizes, strict=True) if size <= MAX_WAITING_BYTES]
        return [lines[at] for at in sorted(kept)]

    def _forget(self, surplus: int) -> None:
        self.lost += surplus
        statuses = [place for place, (event, _) in enumerate(self._waiting) if is_status(event.topic)]
        doomed = set(statuses[:surplus])
        kept = [item for place, item in enumerate(self._waiting) if place not in doomed]
        self._waiting = deque(kept[surplus - len(doomed) :])


def _mark(seq: int) -> bytes:
    return f"{seq:0{_MARK_BYTES}d}".encode()


def _read_mark(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError), path.open("rb") as handle:
        return min(max(int(handle.read(_MARK_BYTES)), 0), _HIGHEST)
    return 0


def _read_waiting(path: Path) -> list[Timed]:
    try:
        if path.stat().st_size > MAX_WAITING_BYTES:
            _log.error("%s: larger than edged writes it: not read", path)
            return []
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found: list[Timed] = []
    for line in lines[:KEPT_EVENTS]:
        try:
            wall_ns, fields = json.loads(line)
            event = parse_event(json.dumps(fields))
        except (ValueError, TypeError, RecursionError, ValidationError) as error:
            _log.error("%s: a line is damaged and passed over: %s", path, error)
            continue
        last = found[-1][0].seq if found else 0
        is_timed = type(wall_ns) is int and abs(wall_ns) <= _HIGHEST
        if isinstance(event, Journalled) and is_timed and last < event.seq <= _HIGHEST:
            found.append((event, wall_ns))
    return found
