"""Banks in the state database: versioned, immutable, switched in one transaction.

A bank is stored whole, as JSON facts and an npz of arrays with its sha256, so reading one never assembles it from parts
that could disagree. The active version is a pointer; rolling back moves the pointer.
"""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.config import Config
from edged.configfile import load_config
from edged.errors import StateError
from edged.state import Database, transaction

KEPT_VERSIONS = 50
KEPT_BYTES = 64 << 20
"""Of one bank's versions: a device's storage is small, and history is there for a roll-back, not for ever."""

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS banks (
    stream TEXT NOT NULL, monitor TEXT NOT NULL, version INTEGER NOT NULL,
    created_at TEXT NOT NULL, reason TEXT NOT NULL,
    facts TEXT NOT NULL, arrays BLOB NOT NULL, arrays_sha256 TEXT NOT NULL,
    PRIMARY KEY (stream, monitor, version)) STRICT""",
    """CREATE TABLE IF NOT EXISTS active_banks (
    stream TEXT NOT NULL, monitor TEXT NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (stream, monitor)) STRICT""",
    """CREATE TABLE IF NOT EXISTS bank_bases (
    stream TEXT NOT NULL, monitor TEXT NOT NULL, version INTEGER NOT NULL, based_on INTEGER NOT NULL,
    PRIMARY KEY (stream, monitor, version)) STRICT""",
)


@dataclass(frozen=True)
class StoredBank:
    """One version of a bank as the database holds it."""

    stream: str
    monitor: str
    version: int
    created_at: str
    reason: str
    facts: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class BankVersion:
    """A line of a bank's history."""

    version: int
    created_at: str
    reason: str
    active: bool


class BankStore(Database):
    """The banks of one state directory; one instance belongs to one thread."""

    SCHEMA = _SCHEMA

    def streams(self) -> list[tuple[str, str]]:
        """(stream, monitor) pairs that have an active bank."""
        return [(s, m) for s, m in self._query("SELECT stream, monitor FROM active_banks ORDER BY stream, monitor")]

    def active_version(self, stream: str, monitor: str) -> int:
        """Version in use, 0 if nothing is enrolled."""
        rows = self._query("SELECT version FROM active_banks WHERE stream=? AND monitor=?", stream, monitor)
        return int(rows[0][0]) if rows else 0

    def load_active(self, stream: str, monitor: str) -> StoredBank | None:
        """The bank in use, or None."""
        version = self.active_version(stream, monitor)
        return self.load(stream, monitor, version) if version else None

    def load(self, stream: str, monitor: str, version: int) -> StoredBank:
        """One version.

        Raises:
            StateError: there is no such version, or it is damaged.
        """
        columns = "created_at, reason, facts, arrays, arrays_sha256"
        sql = f"SELECT {columns} FROM banks WHERE stream=? AND monitor=? AND version=?"  # noqa: S608 - constants only
        rows = self._query(sql, stream, monitor, version)
        if not rows:
            raise StateError(f"{stream}/{monitor}: no version {version}", fix="`edged references show` lists them")
        created_at, reason, facts, blob, digest = rows[0]
        if hashlib.sha256(blob).hexdigest() != digest:
            raise StateError(f"{stream}/{monitor} version {version} is damaged", fix="roll back or enrol again")
        return StoredBank(stream, monitor, version, created_at, reason, json.loads(facts), unpack_arrays(blob))

    def versions(self, stream: str, monitor: str) -> list[BankVersion]:
        """History, newest first."""
        active = self.active_version(stream, monitor)
        sql = "SELECT version, created_at, reason FROM banks WHERE stream=? AND monitor=? ORDER BY version DESC"
        return [BankVersion(v, c, r, v == active) for v, c, r in self._query(sql, stream, monitor)]

    def commit(
        self,
        stream: str,
        monitor: str,
        facts: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        *,
        reason: str,
        based_on: int,
    ) -> int:
        """Store a new version and make it the active one, in one transaction.

        Args:
            based_on: the active version the new bank was built from.

        Raises:
            StateError: the bank changed in between, or the database refused; nothing was changed.
        """
        blob = pack_arrays(arrays)
        row = (_now(), reason, json.dumps(facts), blob, hashlib.sha256(blob).hexdigest())
        with transaction(self._connection) as connection:
            if self.active_version(stream, monitor) != based_on:
                raise StateError(f"{stream}/{monitor}: changed by somebody else meanwhile", fix="enrol again")
            sql = "SELECT COALESCE(MAX(version), 0) + 1 FROM banks WHERE stream=? AND monitor=?"
            version = int(connection.execute(sql, (stream, monitor)).fetchone()[0])
            connection.execute("INSERT INTO banks VALUES (?,?,?,?,?,?,?,?)", (stream, monitor, version, *row))
            connection.execute("INSERT INTO bank_bases VALUES (?,?,?,?)", (stream, monitor, version, based_on))
            self._activate(stream, monitor, version)
            self._forget_old(stream, monitor)
        return version

    def _forget_old(self, stream: str, monitor: str) -> None:
        """Keep the newest versions, as many as fit; always the new one and the one before it."""
        sql = "SELECT version, LENGTH(arrays) FROM banks WHERE stream=? AND monitor=? ORDER BY version DESC"
        kept_bytes = 0
        for place, (version, size) in enumerate(self._query(sql, stream, monitor)):
            kept_bytes += size
            if place >= KEPT_VERSIONS or (place >= 2 and kept_bytes > KEPT_BYTES):
                for table in ("banks", "bank_bases"):
                    sql = f"DELETE FROM {table} WHERE stream=? AND monitor=? AND version<=?"  # noqa: S608 - constants
                    self._connection.execute(sql, (stream, monitor, version))
                return

    def rollback(self, stream: str, monitor: str, version: int | None = None) -> int:
        """Make an older version active: the given one, or the one the active one was built from.

        Where that is not known any more it is the next older one, and after `remove` the newest.

        Raises:
            StateError: there is no such version.
        """
        with transaction(self._connection):
            active = self.active_version(stream, monitor)
            known = [v.version for v in self.versions(stream, monitor)]
            wanted = version if version is not None else self._before(stream, monitor, active, known)
            if wanted not in known:
                fix = f"known: {known or 'none'}"
                if version is None and active:
                    fix = f"nothing lies before version {active}: `edged references remove` undoes it"
                raise StateError(f"{stream}/{monitor}: no version to roll back to", fix=fix)
            self._activate(stream, monitor, wanted)
        return wanted

    def _before(self, stream: str, monitor: str, active: int, known: list[int]) -> int:
        """What was active when a version was made; what was undone in between stays undone."""
        sql = "SELECT based_on FROM bank_bases WHERE stream=? AND monitor=? AND version=?"
        for (base,) in self._query(sql, stream, monitor, active):
            if base in known:
                return int(base)
        return max((v for v in known if v < active or not active), default=0)

    def remove(self, stream: str, monitor: str) -> None:
        """Forget what is enrolled: no version is active afterwards; the versions stay for a roll-back."""
        with transaction(self._connection) as connection:
            connection.execute("DELETE FROM active_banks WHERE stream=? AND monitor=?", (stream, monitor))

    def _activate(self, stream: str, monitor: str, version: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO active_banks VALUES (?,?,?)", (stream, monitor, version))

    def _query(self, sql: str, *values: object) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"state database: {error}", fix="restore it from a backup or enrol again") from error


@contextmanager
def open_store(config_file: Path | None, state_dir: Path | None) -> Iterator[tuple[Config, BankStore]]:
    """The configuration in force and the banks of its state directory."""
    config = load_config(config_file, state_dir)
    with BankStore(config.state_path) as store:
        yield config, store


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as npz bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack_arrays(blob: bytes) -> dict[str, NDArray[Any]]:
    """Arrays of npz bytes; never unpickles."""
    with np.load(io.BytesIO(blob), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
