"""A damaged state database: moved aside, and everything of it that can be read put into a new one.

    <state>/edged.db                               the database
    <state>/edged.db.damaged-20260131T130000Z-1    what it was, with its -wal beside it; the last number rises
    <state>/edged.db.salvaged                      complete, and about to take its place

Done by the daemon when it starts, before anybody has the database open. References are checked by their own sum; where
the version in use cannot be read, the newest that can takes its place, and everything lost is told. A kill at any
instant leaves the damaged file or the whole new one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from edged.clock import NS_PER_S
from edged.errors import StateError
from edged.events.overflow import MARK_NAME
from edged.files import sync_directory
from edged.state import BUSY_TIMEOUT_S, DATABASE_NAME, is_damage

_log = logging.getLogger(__name__)

KEPT_DAMAGED = 3
_COMPANIONS = ("-wal", "-shm")
_PROBED_ROWS = 100_000
"""So many rows are tried one by one between the readable beginning and the readable end of a table."""

_KNOWN = """SELECT type, CAST(name AS BLOB), CAST(sql AS BLOB) FROM sqlite_master
    WHERE type IN ('table', 'index') AND typeof(name) = 'text' AND typeof(sql) = 'text' AND name NOT LIKE 'sqlite_%'"""
"""As bytes: one name that is no text any more would hide all others."""

Row = tuple[object, ...]


@dataclass
class Salvage:
    """What became of a damaged database.

    Attributes:
        moved_to: where it lies now.
        kept: rows that could be read, by table.
        lost: what could not, one sentence each; empty = nothing is known to be lost.
        lost_banks: (stream, monitor) whose references are all gone.
        is_total: whether nothing at all could be read.
    """

    moved_to: Path
    kept: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    lost_banks: list[tuple[str, str]] = field(default_factory=list)
    is_total: bool = False

    def __str__(self) -> str:
        rows = ", ".join(f"{n} {table}" for table, n in self.kept.items() if n)
        lost = "; ".join(self.lost) or "nothing is known to be lost"
        return f"damaged, moved to {self.moved_to.name}; read from it: {rows or 'nothing'}; {lost}"


def is_damaged(state_dir: Path) -> bool:
    """Whether the state database has to be salvaged; it may be in use."""
    path = state_dir / DATABASE_NAME
    try:
        return path.exists() and not _is_sound(path)
    except OSError as error:  # the disk is, perhaps
        _log.warning("%s: %s", path, error.strerror)
        return False


def salvage_if_damaged(state_dir: Path, now_ns: int) -> Salvage | None:
    """Look at a state directory that nobody uses; None: it is sound, or there is no database yet.

    Raises:
        StateError: there is no room or right to put a new database in place; the damaged one is untouched.
    """
    path, ready = state_dir / DATABASE_NAME, state_dir / f"{DATABASE_NAME}.salvaged"
    stamp = f"{datetime.fromtimestamp(now_ns // NS_PER_S, tz=timezone.utc):%Y%m%dT%H%M%SZ}"
    number = 1 + max(map(_number, damaged_files(state_dir)), default=0)
    moved_to = path.with_name(f"{DATABASE_NAME}.damaged-{stamp}-{number}")
    try:
        if ready.exists():  # a salvage was killed while it put the new one in place
            _put_in_place(path, ready, moved_to)
            _forget_old(state_dir)
            return Salvage(moved_to, lost=["an interrupted salvage was completed: see its log"])
        if not path.exists() or _is_sound(path):
            return None
        found = _salvaged(path, ready, moved_to)
        _put_in_place(path, ready, moved_to)
        _forget_old(state_dir)
    except OSError as error:
        raise StateError(f"{path}: damaged, and {error}", fix="make room, or check owner and permissions") from error
    _log.error("state database: %s", found)
    return found


def damaged_files(state_dir: Path) -> list[Path]:
    """What was moved aside, the latest last, whatever the clock said when."""
    found = [p for p in state_dir.glob(f"{DATABASE_NAME}.damaged-*") if not p.name.endswith(_COMPANIONS)]
    return sorted(found, key=lambda path: (_number(path), path.name))


def _number(path: Path) -> int:
    """How many were moved aside up to that one; 0 for those of before they were counted."""
    digits = re.search(r"Z-(\d{1,9})$", path.name)
    return int(digits[1]) if digits else 0


def _is_sound(path: Path) -> bool:
    if path.stat().st_size == 0:  # to SQLite a new database; to us one that was lost, where a daemon has run before
        return not path.with_name(MARK_NAME).exists()
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.Error as error:
        return not is_damage(error)  # locked, or no room: others will say so


# -- reading what can be read ------------------------------------------------------------------------------------------


def _salvaged(path: Path, ready: Path, moved_to: Path) -> Salvage:
    """Build the new database beside the old one; under its name `ready` it is complete."""
    unfinished = ready.with_name(f"{DATABASE_NAME}.part")
    unfinished.unlink(missing_ok=True)
    found = Salvage(moved_to)
    try:
        with (
            closing(sqlite3.connect(unfinished, isolation_level=None)) as new,
            closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as old,
        ):
            old.execute("PRAGMA writable_schema=ON")  # reads on where the file is shorter than it says
            new.execute("BEGIN")
            for table in _tables(old, new, found):
                found.kept[table] = _copy(old, new, table, found.lost)
            if {"banks", "active_banks"} <= found.kept.keys():
                _choose_versions(new, found)
            new.execute("COMMIT")
    except sqlite3.Error as error:  # of the new one: the old one's are counted as lost
        unfinished.unlink(missing_ok=True)
        raise OSError(f"{unfinished.name}: {error}") from error
    unfinished.replace(ready)
    sync_directory(path.parent)
    return found


def _tables(old: sqlite3.Connection, new: sqlite3.Connection, found: Salvage) -> list[str]:
    """Make the tables and indices that the old database knows of; the tables' names."""
    try:
        rows = [tuple(_text(cell) for cell in row) for row in old.execute(_KNOWN)]
        known = sorted(rows, reverse=True)  # tables before their indices
    except (sqlite3.Error, ValueError) as error:
        found.lost.append(f"nothing can be read ({error})")
        known = []
    if not known:
        found.lost.append(f"ALL references are lost: restore {DATABASE_NAME} from a backup, or enrol again")
        found.is_total = True
    for _, name, statement in known:
        try:
            new.execute(statement)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:  # Python 3.10: more than one, or a null in it
            found.lost.append(f"{name}: {error}")
    return [name for (name,) in new.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")]


def _text(cell: str | bytes) -> str:
    return cell.decode(errors="replace") if isinstance(cell, bytes) else cell


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str, lost: list[str]) -> int:
    """Every readable row that its table's checks accept; how many."""
    columns = [str(row[1]) for row in new.execute(f"PRAGMA table_info({table})")]
    marks, copied, damaged = ", ".join("?" for _ in columns), 0, 0
    try:
        for row in _readable_rows(old, table, columns):
            if table == "banks" and not _is_whole(dict(zip(columns, row, strict=True))):
                damaged += 1
                lost.append(f"{row[0]}/{row[1]} version {row[2]} is damaged")
                continue
            try:
                new.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608 - names of our own
                copied += 1
            except (sqlite3.IntegrityError, sqlite3.ProgrammingError, OverflowError):
                damaged += 1
    except _NotAllReadError as error:
        lost.append(f"{table}: {error}")
    if damaged:
        lost.append(f"{table}: {damaged} rows are damaged")
    return copied


class _NotAllReadError(Exception):
    """Some rows of a table could not be read; raised after all that can be were given."""


def _readable_rows(old: sqlite3.Connection, table: str, columns: list[str]) -> Iterator[Row]:
    """From the beginning as far as it goes, from the end as far as it goes, and one by one in between.

    Raises:
        _NotAllReadError: at the end, if there was something that could not be read.
    """
    names = ", ".join(columns)
    sql = f"SELECT rowid, {names} FROM {table}"  # noqa: S608 - names of our own
    first_bad = 0
    try:
        for rowid, *row in old.execute(f"{sql} ORDER BY rowid"):
            first_bad = rowid + 1
            yield tuple(row)
        return
    except (sqlite3.Error, ValueError):
        last_bad = None
    try:
        for rowid, *row in old.execute(f"{sql} WHERE rowid >= ? ORDER BY rowid DESC", (first_bad,)):
            last_bad = rowid - 1
            yield tuple(row)
    except (sqlite3.Error, ValueError) as error:
        if last_bad is None:
            raise _NotAllReadError(f"only the first {first_bad} numbers could be read: {error}") from error
    for rowid in range(first_bad, min(last_bad or 0, first_bad + _PROBED_ROWS) + 1):
        try:
            yield from old.execute(f"SELECT {names} FROM {table} WHERE rowid = ?", (rowid,)).fetchall()  # noqa: S608
        except (sqlite3.Error, ValueError):
            continue
    raise _NotAllReadError(f"between number {first_bad} and {last_bad} not everything could be read")


def _is_whole(bank: dict[str, object]) -> bool:
    blob = bank["arrays"]
    try:
        json.loads(str(bank["facts"]))
    except (ValueError, RecursionError):
        return False
    return isinstance(blob, bytes) and hashlib.sha256(blob).hexdigest() == bank["arrays_sha256"]


def _choose_versions(new: sqlite3.Connection, found: Salvage) -> None:
    """Where the version in use is gone, use the newest that is there; where all are, say so."""
    rows = "SELECT stream, monitor FROM banks UNION SELECT stream, monitor FROM active_banks"
    active = {(s, m): v for s, m, v in new.execute("SELECT stream, monitor, version FROM active_banks")}
    active_is_known = not any(sentence.startswith("active_banks:") for sentence in found.lost)
    for stream, monitor in new.execute(rows).fetchall():
        sql = "SELECT version FROM banks WHERE stream=? AND monitor=? ORDER BY version DESC"
        known = [version for (version,) in new.execute(sql, (stream, monitor))]
        wanted = active.get((stream, monitor))
        if wanted in known or (wanted is None and active_is_known):  # or nothing was in use
            continue
        if not known:
            new.execute("DELETE FROM active_banks WHERE stream=? AND monitor=?", (stream, monitor))
            found.lost_banks.append((stream, monitor))
            found.lost.append(f"{stream}/{monitor}: ALL references are lost: enrol again, or import an archive")
            continue
        new.execute("INSERT OR REPLACE INTO active_banks VALUES (?,?,?)", (stream, monitor, known[0]))
        was = f"version {wanted} is lost" if wanted else "which version was in use is lost"
        found.lost.append(f"{stream}/{monitor}: {was}, version {known[0]} is in use now")


# -- putting it in place -----------------------------------------------------------------------------------------------


def _put_in_place(path: Path, ready: Path, moved_to: Path) -> None:
    """The companions first: a log of the damaged database must never be read into the new one."""
    for companion in _COMPANIONS:
        source = Path(f"{path}{companion}")
        if source.exists():
            source.replace(f"{moved_to}{companion}")
    if path.exists():
        path.replace(moved_to)
    ready.replace(path)
    sync_directory(path.parent)


def _forget_old(state_dir: Path) -> None:
    """Keep the latest damaged files only: the disk of a device is small."""
    for path in damaged_files(state_dir)[:-KEPT_DAMAGED]:
        for doomed in (path, *(Path(f"{path}{companion}") for companion in _COMPANIONS)):
            doomed.unlink(missing_ok=True)
