"""What came near to enrolled words lately, in the state database: the material of limits for a budget of false alarms.

A row holds about an hour of one word of one stream: how long was heard, and its nearest events, some 400 bytes. A word
is known by a digest of its templates, so another word, or another clip of it, leaves what was heard of the others. Kept
are the last two weeks, and no more than two weeks' worth of hours of each word.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np

from edged.clock import NS_PER_S
from edged.decide.near_misses import KEPT_EVENTS, NearMisses, merged
from edged.errors import StateError
from edged.state import Database, transaction

KEPT_DAYS = 14.0
KEPT_ROWS = 24 * 14
MAX_STREAM_ROWS = 40_000
"""Of one stream, whatever its words were: about a hundred words' two weeks."""
ROW_H = 1.0
_NS_PER_HOUR = 3600 * NS_PER_S

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS near_misses (
    id INTEGER PRIMARY KEY, stream TEXT NOT NULL, word TEXT NOT NULL, started_ns INTEGER NOT NULL, hours REAL NOT NULL,
    complete_below REAL NOT NULL, match_limit REAL NOT NULL, matches INTEGER NOT NULL, distances BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS near_misses_by_word ON near_misses (stream, word, id)",
)
_FACTS = "hours, distances, complete_below, match_limit, matches"


class NearMissHistory(Database):
    """The near misses of one state directory; one instance belongs to one thread.

    Raises:
        StateError: the database cannot be used.
    """

    SCHEMA = _SCHEMA

    def append(self, stream: str, heard: Mapping[str, NearMisses], *, now_ns: int) -> None:
        """Add what each word (by its digest) was near to just now, in one transaction; forget what is too old.

        Raises:
            StateError: the database refused; nothing was stored.
        """
        with transaction(self._connection) as connection:
            for word, part in heard.items():
                self._append(connection, stream, word, part, now_ns)
            oldest_ns = now_ns - round(KEPT_DAYS * 24 * _NS_PER_HOUR)
            connection.execute("DELETE FROM near_misses WHERE started_ns < ?", (oldest_ns,))
            surplus = "SELECT id FROM near_misses WHERE stream=? ORDER BY id DESC LIMIT -1 OFFSET ?"
            connection.execute(f"DELETE FROM near_misses WHERE id IN ({surplus})", (stream, MAX_STREAM_ROWS))  # noqa: S608 - constants only

    def parts(self, stream: str, word: str) -> list[NearMisses]:
        """What a word was near to, oldest first; rows that are damaged are passed over.

        Raises:
            StateError: the database cannot be read.
        """
        sql = f"SELECT {_FACTS} FROM near_misses WHERE stream=? AND word=? ORDER BY id"  # noqa: S608 - constants only
        try:
            rows = self._connection.execute(sql, (stream, word)).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"near misses: {error}", fix="check the disk; without them limits stay") from error
        return [part for row in rows if (part := _part(row)) is not None]

    def _append(self, connection: sqlite3.Connection, stream: str, word: str, part: NearMisses, now_ns: int) -> None:
        """Into the row of the current hour if it fits there, else into a new one."""
        sql = f"SELECT id, started_ns, {_FACTS} FROM near_misses WHERE stream=? AND word=? ORDER BY id DESC LIMIT 1"  # noqa: S608
        last = connection.execute(sql, (stream, word)).fetchone()
        known = _part(last[2:]) if last else None
        if last and known and known.limit == part.limit and known.hours + part.hours <= ROW_H and now_ns >= last[1]:
            whole = merged(known, part)
            update = f"UPDATE near_misses SET ({_FACTS}) = (?,?,?,?,?) WHERE id=?"  # noqa: S608
            connection.execute(update, (*_values(whole), last[0]))
            return
        insert = f"INSERT INTO near_misses (stream, word, started_ns, {_FACTS}) VALUES (?,?,?,?,?,?,?,?)"  # noqa: S608
        connection.execute(insert, (stream, word, now_ns, *_values(part)))
        forget = "DELETE FROM near_misses WHERE id IN (SELECT id FROM near_misses WHERE stream=? AND word=? "
        connection.execute(forget + "ORDER BY id DESC LIMIT -1 OFFSET ?)", (stream, word, KEPT_ROWS))


def _values(part: NearMisses) -> tuple[Any, ...]:
    blob = np.ascontiguousarray(part.distances[:KEPT_EVENTS], "<f4").tobytes()
    return part.hours, blob, part.complete_below, part.limit, part.matches


def _part(row: tuple[Any, ...]) -> NearMisses | None:
    """A row as it was stored; None if its numbers cannot be."""
    hours, blob, complete_below, limit, matches = row
    distances = np.frombuffer(blob[: len(blob) // 4 * 4], "<f4").astype(np.float64)
    part = NearMisses(hours, distances, complete_below, limit, matches)
    return part if part.is_sound and hours > 0.0 else None
