"""What normal sound scored lately, in the state database: the material of thresholds for a budget of false alarms.

A row is a stretch of consecutive segments of one stream, judged by one version of the bank and nearest to one domain:
at most an hour, some 6 kB. Scores of another version mean nothing to this one, but a roll-back finds them again. Kept
are the last days, and no more than a few megabytes of each stream.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edged.clock import NS_PER_S
from edged.errors import StateError
from edged.flow import Float32Array
from edged.state import Database, transaction

KEPT_DAYS = 14.0
KEPT_SCORES = 1_000_000
"""Of each stream and monitor: four weeks at the shipped bundle's hop, 4 MB."""
MAX_STRETCH = 1_500
"""Segments of a row: about an hour at the shipped bundle's hop."""
_NS_PER_DAY = 86_400 * NS_PER_S

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS score_history (
    id INTEGER PRIMARY KEY, stream TEXT NOT NULL, monitor TEXT NOT NULL, bank INTEGER NOT NULL, domain TEXT NOT NULL,
    started_ns INTEGER NOT NULL, continues INTEGER NOT NULL, ceiling REAL, ended_in_alarm INTEGER NOT NULL,
    n INTEGER NOT NULL, scores BLOB NOT NULL) STRICT""",
    "CREATE INDEX IF NOT EXISTS score_history_by_bank ON score_history (stream, monitor, bank, id)",
)


@dataclass(frozen=True)
class Stretch:
    """Scores of consecutive segments out of alarm.

    Attributes:
        domain: of the nearest reference, the same for all of them.
        started_ns: wall time of the first segment's start.
        scores: float32 (n_segments,), higher = more anomalous.
        ceiling: the threshold in force: segments in alarm are left out.
        continues: whether the first segment follows directly on the stretch before.
        ended_in_alarm: whether an alarm came next.
    """

    domain: str
    started_ns: int
    scores: Float32Array
    ceiling: float
    continues: bool = False
    ended_in_alarm: bool = False


class ScoreHistory(Database):
    """The score history of one state directory; one instance belongs to one thread.

    Raises:
        StateError: the database cannot be used.
    """

    SCHEMA = _SCHEMA

    def append(self, stream: str, monitor: str, bank: int, stretches: Sequence[Stretch], *, now_ns: int) -> None:
        """Store stretches in the order they were heard, and forget what is too old or too much, in one transaction.

        Raises:
            StateError: the database refused; nothing was stored.
        """
        rows = [_row(stream, monitor, bank, stretch) for stretch in stretches]
        columns = "stream, monitor, bank, domain, started_ns, continues, ceiling, ended_in_alarm, n, scores"
        sql = f"INSERT INTO score_history ({columns}) VALUES (?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 - constants only
        with transaction(self._connection) as connection:
            connection.executemany(sql, rows)
            oldest_ns = now_ns - round(KEPT_DAYS * _NS_PER_DAY)
            connection.execute("DELETE FROM score_history WHERE started_ns < ?", (oldest_ns,))
            self._forget_surplus(stream, monitor)

    def stretches(self, stream: str, monitor: str, bank: int) -> list[Stretch]:
        """What one version of a bank has heard, oldest first.

        Raises:
            StateError: the database cannot be read.
        """
        columns = "domain, started_ns, scores, ceiling, continues, ended_in_alarm"
        sql = f"SELECT {columns} FROM score_history WHERE stream=? AND monitor=? AND bank=? ORDER BY id"  # noqa: S608
        rows = self._query(sql, stream, monitor, bank)
        return [_stretch(row) for row in rows]

    def adopt(self, stream: str, monitor: str, bank: int, other: int) -> None:
        """Count what another version has heard as heard by this one: for versions that score alike.

        Raises:
            StateError: the database refused; nothing was changed.
        """
        with transaction(self._connection) as connection:
            sql = "UPDATE score_history SET bank=? WHERE stream=? AND monitor=? AND bank=?"
            connection.execute(sql, (bank, stream, monitor, other))

    def latest_other(self, stream: str, monitor: str, bank: int) -> int | None:
        """The version that was heard last, but for this one.

        Raises:
            StateError: the database cannot be read.
        """
        sql = "SELECT bank FROM score_history WHERE stream=? AND monitor=? AND bank<>? ORDER BY id DESC LIMIT 1"
        rows = self._query(sql, stream, monitor, bank)
        return int(rows[0][0]) if rows else None

    def _forget_surplus(self, stream: str, monitor: str) -> None:
        held = self._query("SELECT SUM(n) FROM score_history WHERE stream=? AND monitor=?", stream, monitor)
        if (held[0][0] or 0) <= KEPT_SCORES:
            return
        sql = "SELECT id, n FROM score_history WHERE stream=? AND monitor=? ORDER BY id DESC"
        rows = self._query(sql, stream, monitor)
        totals = itertools.accumulate(n for _, n in rows)
        surplus = [number for (number, _), total in zip(rows, totals, strict=True) if total > KEPT_SCORES]
        if surplus:
            forget = "DELETE FROM score_history WHERE stream=? AND monitor=? AND id<=?"
            self._connection.execute(forget, (stream, monitor, surplus[0]))

    def _query(self, sql: str, *values: object) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"score history: {error}", fix="check the disk; without it thresholds stay") from error


def joined(stretches: Iterable[Stretch]) -> list[list[Stretch]]:
    """Stretches that follow directly on each other, whatever their domain, in groups of one ceiling."""
    groups: list[list[Stretch]] = []
    for stretch in stretches:
        if groups and stretch.continues and stretch.ceiling == groups[-1][-1].ceiling:
            groups[-1].append(stretch)
        else:
            groups.append([stretch])
    return groups


def _row(stream: str, monitor: str, bank: int, stretch: Stretch) -> tuple[Any, ...]:
    scores = np.ascontiguousarray(stretch.scores, "<f4")
    flags = int(stretch.continues), stretch.ceiling, int(stretch.ended_in_alarm)
    return (stream, monitor, bank, stretch.domain, stretch.started_ns, *flags, len(scores), scores.tobytes())


def _stretch(row: Sequence[Any]) -> Stretch:
    domain, started_ns, blob, ceiling, continues, ended_in_alarm = row
    whole = blob[: len(blob) // 4 * 4]
    scores = np.frombuffer(whole, "<f4").astype(np.float32)
    return Stretch(domain, started_ns, scores, float("inf") if ceiling is None else ceiling, bool(continues),
                   bool(ended_in_alarm))  # fmt: skip
