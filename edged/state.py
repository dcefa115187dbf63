"""The state database: one SQLite file in WAL mode, shared by banks and journal.

Every change is one transaction with full fsync: a process killed at any instant leaves the old or the new state.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import ClassVar, TypeVar

from edged.errors import DamagedError, StateError
from edged.files import give_to_owner

DATABASE_NAME = "edged.db"
BUSY_TIMEOUT_S = 10.0
BUSY_RETRY_S = 0.01
_DAMAGE_SIGNS = ("malformed", "not a database")
_DAMAGED_FIX = "start the daemon again: it moves the file aside and keeps all that can be read"

_D = TypeVar("_D", bound="Database")


def open_database(state_dir: Path) -> sqlite3.Connection:
    """Open (or create) the database of a state directory; the connection belongs to the calling thread.

    Raises:
        StateError: the directory or file cannot be used.
    """
    path = state_dir / DATABASE_NAME
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        give_to_owner(path)  # before SQLite makes the files beside it, which it gives to this one's owner
        _enter_wal(connection)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
    except (OSError, sqlite3.Error) as error:
        if is_damage(error):
            raise DamagedError(f"{path}: {error}", fix=_DAMAGED_FIX) from error
        raise StateError(f"{path}: {error}", fix="check the directory's owner, permissions and free space") from error
    return connection


def is_damage(error: Exception) -> bool:
    """Whether a database error says that the file's content is broken: trying again does not help."""
    return isinstance(error, sqlite3.DatabaseError) and any(sign in str(error) for sign in _DAMAGE_SIGNS)


def state_error(error: sqlite3.Error) -> StateError:
    """What a database error means to an operator."""
    if is_damage(error):
        return DamagedError(f"state database: {error}", fix=_DAMAGED_FIX)
    return StateError(f"state database: {error}", fix="check free space and `edged status`")


def _enter_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait here: two processes that make the same new database would each be in the other's way
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(BUSY_RETRY_S)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Everything inside happens, or nothing of it.

    Raises:
        StateError: the database refused (disk full, locked, damaged); nothing was changed.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        with connection:  # commits; or rolls back, whatever ended it, a refused commit too
            yield connection
    except sqlite3.Error as error:
        raise state_error(error) from error


class Database:
    """A part of the state database: its tables, and a connection that belongs to one thread; closed by `with`.

    Args:
        state_dir: the state directory; it is made if it is not there.

    Raises:
        StateError: the database cannot be used.
    """

    SCHEMA: ClassVar[tuple[str, ...]] = ()
    """Statements that make the tables where they are missing; none for those who only read."""

    def __init__(self, state_dir: Path) -> None:
        self._connection = open_database(state_dir)
        if not self.SCHEMA:
            return
        try:
            with transaction(self._connection) as connection:
                for statement in self.SCHEMA:
                    connection.execute(statement)
        except StateError:
            self.close()
            raise

    def __enter__(self: _D) -> _D:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
