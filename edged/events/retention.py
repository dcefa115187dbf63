"""How much the journal keeps: bounded by number, size and age; alarms go last.

Beyond a bound the oldest status events go first, as long as they are more than a tenth of what is held: a device that
comes and goes all night cannot push out the alarms of the month, and a month of alarms cannot push out the last words
about the devices. By age whatever is at the beginning goes, up to the first event that is young enough, and nothing
that was heard in this life unless it has lasted that long: a wall clock that was wrong for a while removes no news.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from edged.clock import NS_PER_S

STATUS_SHARE = 0.1
"""So much of the journal is never taken from status events to keep alarms."""
_CHUNK = 256
_IS_STATUS = "topic >= 'status.' AND topic < 'status/'"
_NS_PER_DAY = 86_400 * NS_PER_S

SCHEMA = (
    "CREATE INDEX IF NOT EXISTS journal_by_time ON journal_events (wall_ns)",
    f"CREATE INDEX IF NOT EXISTS journal_statuses ON journal_events (seq) WHERE {_IS_STATUS}",
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the journal may hold; ``max_bytes`` counts the events' text, some two thirds of the file."""

    max_events: int
    max_bytes: int = 1 << 40
    max_age_days: float = 36_500.0

    @property
    def max_age_ns(self) -> int:
        """In nanoseconds."""
        return round(self.max_age_days * _NS_PER_DAY)


@dataclass(frozen=True, slots=True)
class Held:
    """What the journal holds."""

    events: int = 0
    statuses: int = 0
    text_bytes: int = 0

    def plus(self, n: int, statuses: int, text_bytes: int) -> Held:
        """With these added, or taken away where negative."""
        return Held(self.events + n, self.statuses + statuses, self.text_bytes + text_bytes)

    def takes_status(self, allowed: float) -> bool:
        """Whether a status event goes next, not an alarm."""
        return self.statuses > allowed or self.statuses == self.events

    def exceeds(self, bounds: Bounds) -> bool:
        """Whether something has to go; the last event never does."""
        return self.events > 1 and (self.events > bounds.max_events or self.text_bytes > bounds.max_bytes)


def is_status(topic: str) -> bool:
    """Whether an event goes before the alarms do."""
    return topic.startswith("status.")


def held(connection: sqlite3.Connection) -> Held:
    """Count what is there."""
    sql = f"SELECT COUNT(*), TOTAL({_IS_STATUS}), TOTAL(LENGTH(CAST(body AS BLOB))) FROM journal_events"  # noqa: S608
    events, statuses, text_bytes = connection.execute(sql).fetchone()
    return Held(int(events), int(statuses), int(text_bytes))


def remove_old(connection: sqlite3.Connection, now_held: Held, oldest_ns: int, young_after: int) -> Held:
    """Remove what happened before a time, inside the caller's transaction; what is held afterwards.

    Args:
        young_after: what has a higher number stays, and so does the newest event.
    """
    sql = """SELECT COALESCE((SELECT seq FROM journal_events WHERE wall_ns >= ? ORDER BY seq LIMIT 1),
                             (SELECT MAX(seq) FROM journal_events), 0)"""
    first_young = min(int(connection.execute(sql, (oldest_ns,)).fetchone()[0]), young_after + 1)
    while rows := _rows(connection, f"seq < {first_young}"):
        now_held = _without(connection, now_held, rows)
    return now_held


def remove_excess(connection: sqlite3.Connection, now_held: Held, bounds: Bounds) -> Held:
    """Remove what is too much, inside the caller's transaction; what is held afterwards."""
    allowed_statuses = STATUS_SHARE * min(now_held.events, bounds.max_events)
    while now_held.exceeds(bounds):
        takes_status = now_held.takes_status(allowed_statuses)
        oldest = _rows(connection, _IS_STATUS if takes_status else f"NOT ({_IS_STATUS})")
        left, doomed = now_held, []
        for row in oldest:
            if not left.exceeds(bounds) or takes_status != left.takes_status(allowed_statuses):
                break
            doomed.append(row)
            left = left.plus(-1, -int(takes_status), -row[2])
        if not doomed:  # the tally is wrong: somebody else wrote here
            return held(connection)
        now_held = _without(connection, now_held, doomed)
    return now_held


def _rows(connection: sqlite3.Connection, where: str) -> list[tuple[int, str, int]]:
    sql = f"SELECT seq, topic, LENGTH(CAST(body AS BLOB)) FROM journal_events WHERE {where} ORDER BY seq LIMIT {_CHUNK}"  # noqa: S608
    return connection.execute(sql).fetchall()


def _without(connection: sqlite3.Connection, now_held: Held, rows: list[tuple[int, str, int]]) -> Held:
    connection.executemany("DELETE FROM journal_events WHERE seq = ?", [(seq,) for seq, _, _ in rows])
    statuses = sum(is_status(topic) for _, topic, _ in rows)
    return now_held.plus(-len(rows), -statuses, -sum(size for _, _, size in rows))
