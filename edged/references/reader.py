"""Banks of a state directory that is somebody else's: read, with nothing changed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from edged.errors import StateError
from edged.references.store import BankStore
from edged.state import DATABASE_NAME

_BUSY_TIMEOUT_S = 3.0


def open_untouched(path: Path) -> sqlite3.Connection:
    """A state database, of which nothing is changed, and beside which no file is left behind.

    Where a write-ahead log lies, its writer runs, or has crashed: SQLite may then mend its own index of it (`-shm`).

    Raises:
        OSError, sqlite3.Error: it cannot be opened.
    """
    how = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=_BUSY_TIMEOUT_S)


class BankReader(BankStore):
    """The banks of a database that is there; makes no tables and ends no log.

    Raises:
        StateError: the database cannot be opened.
    """

    def __init__(self, state_dir: Path) -> None:
        path = state_dir / DATABASE_NAME
        try:
            self._connection = open_untouched(path)
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"{path}: {error}", fix="check owner and permissions, or use sudo") from error
