"""The journal: every alarm and status event, numbered without holes, written before it is published."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from edged.clock import NS_PER_S
from edged.errors import StateError, UsageError
from edged.events.schema import Journalled
from edged.state import Database, transaction

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS journal_events (
    seq INTEGER PRIMARY KEY, wall_ns INTEGER NOT NULL, topic TEXT NOT NULL, body TEXT NOT NULL) STRICT""",
    "CREATE INDEX IF NOT EXISTS journal_by_time ON journal_events (wall_ns)",
    "CREATE TABLE IF NOT EXISTS journal_counter (id INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL) STRICT",
    "INSERT OR IGNORE INTO journal_counter VALUES (1, 0)",
)
MAX_REPLAY_EVENTS = 1000
_LATEST_NS = 1 << 62  # the year 2116; SQLite holds no more


class Journal(Database):
    """Appends numbered events to the state database; one instance belongs to one thread.

    Args:
        max_events: older ones are removed beyond this; their numbers are never used again.

    Raises:
        StateError: the database cannot be used.
    """

    SCHEMA = _SCHEMA

    def __init__(self, state_dir: Path, max_events: int) -> None:
        super().__init__(state_dir)
        self._max_events = max_events
        with transaction(self._connection) as connection:
            self.last_seq = int(connection.execute("SELECT last_seq FROM journal_counter").fetchone()[0])

    def append(self, events: Sequence[tuple[Journalled, int]]) -> None:
        """Store numbered events with their wall time in nanoseconds, all or none.

        Raises:
            StateError: the database refused; nothing was stored.
        """
        rows = [(event.seq, wall_ns, event.topic, event.to_json().decode()) for event, wall_ns in events]
        with transaction(self._connection) as connection:
            connection.executemany("INSERT INTO journal_events VALUES (?,?,?,?)", rows)
            connection.execute("UPDATE journal_counter SET last_seq = ?", (rows[-1][0],))
            connection.execute("DELETE FROM journal_events WHERE seq <= ?", (rows[-1][0] - self._max_events,))
        self.last_seq = rows[-1][0]


class JournalReader(Database):
    """Reads the journal of a state directory, while a daemon writes it or without one; belongs to one thread."""

    def after(
        self, seq: int, *, before: int | None = None, topics: Sequence[str] = ("",), limit: int = MAX_REPLAY_EVENTS
    ) -> list[dict[str, Any]]:
        """Events numbered above ``seq`` (and below ``before``) with one of these topic prefixes, oldest first.

        Raises:
            StateError: the database cannot be read.
        """
        ceiling = before if before is not None else (1 << 62)
        sql = "SELECT topic, body FROM journal_events WHERE seq > ? AND seq < ? ORDER BY seq"
        return self._bodies(sql, (seq, ceiling), topics, limit)

    def since(self, wall_ns: int, *, topics: Sequence[str] = ("",), limit: int) -> list[dict[str, Any]]:
        """Events of things that happened at or after a time, in the order of their numbers."""
        sql = "SELECT topic, body FROM journal_events WHERE wall_ns >= ? ORDER BY seq"
        return self._bodies(sql, (wall_ns,), topics, limit)

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

    def _bodies(self, sql: str, values: tuple[int, ...], topics: Sequence[str], limit: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for topic, body in self._rows(sql, values):
            if len(found) >= limit:
                break
            if topic.startswith(tuple(topics)):
                found.append(json.loads(body))
        return found

    def _rows(self, sql: str, values: tuple[int, ...]) -> Iterable[Any]:
        try:
            return self._connection.execute(sql, values)
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # no daemon has run on this state yet
                return []
            raise StateError(f"state database: {error}", fix="check the file") from error


def read_journal(state_dir: Path, *, since: str = "0", limit: int = MAX_REPLAY_EVENTS) -> list[dict[str, Any]]:
    """Events after a sequence number, or since an RFC 3339 time.

    Raises:
        UsageError: ``since`` is neither.
        StateError: the database cannot be read.
    """
    with JournalReader(state_dir) as reader:
        if re.fullmatch(r"\d{1,18}", since):
            return reader.after(int(since), limit=limit)
        return reader.since(parse_time_ns(since), limit=limit)


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
    return min(max(round(moment.timestamp() * 1000) * (NS_PER_S // 1000), 0), _LATEST_NS)


def _six_digits(text: str) -> str:
    """Pad or cut the fraction of a second to what Python 3.10 reads."""
    return re.sub(r"\.(\d+)", lambda found: "." + found[1][:6].ljust(6, "0"), text)
