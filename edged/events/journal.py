"""The journal: every alarm and status event, numbered without holes, written before it is published."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edged.clock import NS_PER_S
from edged.errors import StateError, UsageError
from edged.events import retention
from edged.events.retention import Bounds
from edged.events.schema import Journalled
from edged.state import DATABASE_NAME, Database, state_error, transaction

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS journal_events (
    seq INTEGER PRIMARY KEY, wall_ns INTEGER NOT NULL, topic TEXT NOT NULL, body TEXT NOT NULL) STRICT""",
    *retention.SCHEMA,
    "CREATE TABLE IF NOT EXISTS journal_counter (id INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL) STRICT",
    "INSERT OR IGNORE INTO journal_counter VALUES (1, 0)",
    "CREATE TABLE IF NOT EXISTS journal_identity (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT",
    "INSERT OR IGNORE INTO journal_identity VALUES (1, lower(hex(randomblob(6))))",
)
MAX_REPLAY_EVENTS = 1000
MAX_REPLAY_BYTES = 1 << 20
"""Of events' text on one page, but for the first event of it."""
_END = 1 << 62
"""Beyond every number and every time (the year 2116); SQLite holds no more."""
_READ_AT_ONCE = 100
_LAST_USED = "SELECT MAX((SELECT last_seq FROM journal_counter), COALESCE(MAX(seq), 0)) FROM journal_events"


class Journal(Database):
    """Appends numbered events to the state database; one instance belongs to one thread.

    Args:
        max_events: older ones are removed beyond this; their numbers are never used again.
        bounds: all the bounds, instead.

    Attributes:
        identity: of this numbering; another one when the state was made anew.
        last_seq: number of the newest event.
        held: what is stored now.
        removed: events that were removed since this was opened, for age or for room.

    Raises:
        StateError: the database cannot be used.
    """

    SCHEMA = _SCHEMA

    def __init__(self, state_dir: Path, max_events: int = 100_000, bounds: Bounds | None = None) -> None:
        super().__init__(state_dir)
        self._bounds = bounds or Bounds(max_events)
        self.removed = 0
        try:
            with transaction(self._connection) as connection:
                self.last_seq = int(connection.execute(_LAST_USED).fetchone()[0])
                self.identity = str(connection.execute("SELECT name FROM journal_identity").fetchone()[0])
                self.held = retention.held(connection)
        except StateError:
            self.close()
            raise

    def append(
        self, events: Sequence[tuple[Journalled, int]], now_ns: int | None = None, young_after: int = _END
    ) -> None:
        """Store numbered events with their wall time in nanoseconds, all or none.

        Args:
            now_ns: wall time that ages are counted from; None: nothing is removed for age now.
            young_after: what has a higher number is not old, whatever its time says.

        Raises:
            StateError: the database refused; nothing was stored.
        """
        rows = [(event.seq, wall_ns, event.topic, event.to_json().decode()) for event, wall_ns in events]
        sizes, statuses = sum(len(row[3].encode()) for row in rows), sum(retention.is_status(row[2]) for row in rows)
        full = self.held.plus(len(rows), statuses, sizes)
        with transaction(self._connection) as connection:
            connection.executemany("INSERT INTO journal_events VALUES (?,?,?,?)", rows)
            connection.execute("UPDATE journal_counter SET last_seq = ?", (rows[-1][0],))
            held = full
            if now_ns is not None:
                held = retention.remove_old(connection, held, now_ns - self._bounds.max_age_ns, young_after)
            held = retention.remove_excess(connection, held, self._bounds)
        self.last_seq, self.held = rows[-1][0], held
        self.removed += full.events - held.events


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the journal, oldest first.

    Attributes:
        next_after: ask for what comes after this number to go on; None: that was all.
        missing: numbers of the range looked at that the journal does not hold any more, whatever their topic.
        identity: of the numbering; "" where there is no journal yet.
        last_seq: number of the newest event.
    """

    events: list[dict[str, Any]]
    next_after: int | None
    missing: int
    identity: str
    last_seq: int


class JournalReader(Database):
    """Reads the journal of a state directory, while a daemon writes it or without one; belongs to one thread."""

    def after(
        self, seq: int, *, before: int | None = None, topics: Sequence[str] = ("",), limit: int = MAX_REPLAY_EVENTS
    ) -> list[dict[str, Any]]:
        """Events numbered above ``seq`` (and below ``before``) with one of these topic prefixes, oldest first.

        Raises:
            StateError: the database cannot be read.
        """
        found = self._matching(seq, _END if before is None else before, topics)
        return [event for (_, _, event), _ in zip(found, range(limit), strict=False)]

    def since(self, wall_ns: int, *, topics: Sequence[str] = ("",), limit: int) -> list[dict[str, Any]]:
        """Everything from the first event on that happened at or after a time, in the order of their numbers.

        Raises:
            StateError: the database cannot be read.
        """
        return self.after(self.before_time(wall_ns), topics=topics, limit=limit)

    def before_time(self, wall_ns: int) -> int:
        """The number before the first event that is stamped at or after a time.

        Later ones may be stamped earlier, where the wall clock was set back meanwhile: by number none is missed.

        Raises:
            StateError: the database cannot be read.
        """
        sql = "SELECT seq FROM journal_events WHERE wall_ns >= ? ORDER BY seq LIMIT 1"
        first = next(iter(self._rows(sql, (wall_ns,))), None)
        return self.last_seq() if first is None else int(first[0]) - 1

    def page(
        self, after: int, *, before: int | None = None, topics: Sequence[str] = ("",), limit: int = MAX_REPLAY_EVENTS
    ) -> Page:
        """As `after`, with what is needed to go on and to know what is gone.

        Raises:
            StateError: the database cannot be read.
        """
        last_seq = self.last_seq()
        end = min(_END if before is None else before, last_seq + 1)
        events: list[dict[str, Any]] = []
        read_to, next_after, n_bytes = max(after, end - 1), None, 0
        for _, size, event in self._matching(after, end, topics):
            n_bytes += size
            if len(events) >= limit or (events and n_bytes > MAX_REPLAY_BYTES):
                read_to = next_after = events[-1]["seq"]
                break
            events.append(event)
        identity = next((str(row[0]) for row in self._rows("SELECT name FROM journal_identity", ())), "")
        return Page(events, next_after, self._missing(after, read_to), identity, last_seq)

    def find(self, event_id: str) -> dict[str, Any] | None:
        """The event with an id, or None: there never was one, or it was removed for age.

        Raises:
            StateError: the database cannot be read.
        """
        numbered = re.fullmatch(r".*-(\d{1,18})", event_id)
        seq = int(numbered[1]) if numbered else 0
        found = self.after(seq - 1, before=seq + 1)
        return next((event for event in found if event["id"] == event_id), None)

    def last_seq(self) -> int:
        """Number of the newest event, 0 if there never was one."""
        return max((int(row[0]) for row in self._rows("SELECT last_seq FROM journal_counter", ())), default=0)

    def _missing(self, after: int, last: int) -> int:
        sql = "SELECT COUNT(*) FROM journal_events WHERE seq > ? AND seq <= ?"
        held = next((int(row[0]) for row in self._rows(sql, (after, last))), 0)
        return max(0, last - after - held)

    def _matching(self, after: int, before: int, topics: Sequence[str]) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """(number, size, event) of what has one of these topic prefixes, but for rows whose text is damaged."""
        sql = "SELECT seq, topic, body FROM journal_events WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?"
        while rows := list(self._rows(sql, (after, before, _READ_AT_ONCE))):
            for seq, topic, body in rows:
                event = _object(body) if topic.startswith(tuple(topics)) else None
                if event is not None:
                    yield seq, len(body), {**event, "seq": seq}
            after = rows[-1][0]

    def _rows(self, sql: str, values: tuple[int, ...]) -> Iterable[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            if "no such table" in str(error):  # no daemon has run on this state yet
                return []
            raise state_error(error) from error


def _object(body: str) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def read_journal(
    state_dir: Path, *, since: str = "0", topics: Sequence[str] = ("",), limit: int = MAX_REPLAY_EVENTS
) -> list[dict[str, Any]]:
    """Events after a sequence number, or from the first one of an RFC 3339 time on.

    A directory in which nothing was ever kept has none; it is not made.

    Raises:
        UsageError: ``since`` is neither.
        StateError: the database cannot be read.
    """
    after = int(since) if re.fullmatch(r"\d{1,18}", since) else None
    from_ns = parse_time_ns(since) if after is None else 0
    if not (state_dir / DATABASE_NAME).exists():
        return []
    with JournalReader(state_dir) as reader:
        if after is None:
            return reader.since(from_ns, topics=topics, limit=limit)
        return reader.after(after, topics=topics, limit=limit)


def parse_time_ns(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time with its zone.

    >>> parse_time_ns("1970-01-01T00:00:01.5Z")
    1500000000

    Raises:
        UsageError: it is none.
    """
    try:
        moment = datetime.fromisoformat(_six_digits(text.replace("Z", "+00:00")))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageError(f"'{text}' is no RFC 3339 time with a zone", fix="write it as 2026-01-31T13:00:00Z")
    return min(max(round(moment.timestamp() * 1000) * (NS_PER_S // 1000), 0), _END)


def _six_digits(text: str) -> str:
    """Pad or cut the fraction of a second to what Python 3.10 reads."""
    return re.sub(r"\.(\d+)", lambda found: "." + found[1][:6].ljust(6, "0"), text)
