"""Keeps the journal, whatever the disk does: what cannot be stored now waits, and is stored in order when it can.

ok: everything is journalled before it is published.
low: less space than `events.low_space_mib`; telemetry is off, alarms are journalled.
failing: the journal takes nothing; telemetry is off, alarms are published as not journalled and wait in memory.
damaged: as failing, and trying again is of no use; the daemon has to start anew.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from edged.clock import NS_PER_S, Clock
from edged.config import EventsSettings
from edged.errors import DamagedError, StateError
from edged.events.journal import Journal
from edged.events.overflow import Overflow, Timed
from edged.events.retention import Bounds
from edged.events.schema import Journalled
from edged.reserve import put_by

_log = logging.getLogger(__name__)

StorageState = Literal["ok", "low", "failing", "damaged"]

RETRY_S = 5.0
_LOOK_EVERY_S = 5.0
_BATCH = 256
_MIB = 1 << 20
_ALL = 1 << 62


class JournalKeeper:
    """The journal and what it could not take yet; belongs to the publisher's thread.

    Args:
        boot: identity of this life of the daemon.
        on_damage: called once when the database turns out to be damaged.

    Attributes:
        last_seq: number of the newest event.
        storage: how the journal fares; ``reason`` why.

    Raises:
        StateError: the journal cannot be opened.
    """

    def __init__(
        self,
        state_dir: Path,
        settings: EventsSettings,
        boot: str,
        clock: Clock,
        on_damage: Callable[[], None] = lambda: None,
    ) -> None:
        self._state_dir, self._settings, self._boot, self._clock = state_dir, settings, boot, clock
        self._on_damage = on_damage
        bounds = Bounds(settings.journal_max_events, settings.journal_max_mib * _MIB, settings.journal_max_age_days)
        self._journal = Journal(state_dir, bounds=bounds)
        self._first_seq, self._max_age_ns = self._journal.last_seq, bounds.max_age_ns
        self._opened_ns = clock.monotonic_ns()
        self._overflow = Overflow(state_dir)
        self.last_seq = max(self._journal.last_seq, self._overflow.restore(self._journal.last_seq))
        self.storage: StorageState = "ok"
        self.reason = ""
        self._failed_s = self._looked_s = -math.inf
        self._drain(hurry=True)
        self.look()

    @property
    def identity(self) -> str:
        """Of the numbering."""
        return self._journal.identity

    @property
    def unjournalled(self) -> int:
        """Events that wait for the journal."""
        return len(self._overflow)

    def waiting(self) -> list[Journalled]:
        """Those events, oldest first; for any thread."""
        return self._overflow.events()

    def facts(self) -> dict[str, Any]:
        """For `edged status`; for any thread."""
        journal = self._journal
        return {
            "unjournalled": self.unjournalled,
            "lost_from_journal": self._overflow.lost,
            "journal_events": journal.held.events,
            "journal_mib": round(journal.held.text_bytes / _MIB, 3),
            "removed_from_journal": journal.removed,
        }

    def number(self, event: Journalled, wall_ns: int) -> Timed:
        """Give an event the next number."""
        self.last_seq += 1
        facts = {"seq": self.last_seq, "id": f"{self._boot}-{self.last_seq}", "journal": self.identity}
        return event.model_copy(update=facts), wall_ns

    def keep(self, numbered: Sequence[Timed]) -> list[Journalled]:
        """Store events, and what waited before them; as they are to be published now."""
        self._overflow.add(numbered)
        self._drain()
        stored = self._journal.last_seq
        return [
            event if event.seq <= stored else event.model_copy(update={"journalled": False}) for event, _ in numbered
        ]

    def look(self) -> None:
        """Try again what failed, and see how much room there is."""
        self._drain()
        now_s = self._now_s()
        if now_s - self._looked_s >= _LOOK_EVERY_S and self.storage in {"ok", "low"}:
            self._looked_s = now_s
            self._look_at_space()

    def close(self) -> None:
        """Store what can be stored, leave the rest for the next life."""
        self._drain(hurry=True)
        self._overflow.settle()
        self._journal.close()

    def _drain(self, *, hurry: bool = False) -> None:
        """Into the journal, oldest first; a failing journal silences nobody."""
        has_waited = self.storage == "failing" or hurry
        while self._overflow:
            too_soon = self._now_s() - self._failed_s < RETRY_S and not hurry
            if self.storage == "damaged" or too_soon:
                self._overflow.mark(self.last_seq)
                return
            if not self._stored(self._overflow.first(_BATCH)):
                self._overflow.mark(self.last_seq)
                return
        if has_waited and self.storage != "damaged":
            self._overflow.is_stored()
            self._look_at_space()

    def _stored(self, batch: list[Timed]) -> bool:
        try:
            self._journal.append(batch, self._clock.wall_ns(), young_after=self._young_after())
        except StateError as error:
            self._failed_s = self._now_s()
            is_damaged = isinstance(error, DamagedError)
            self._set("damaged" if is_damaged else "failing", str(error))
            _log.error("journal: %d events wait in memory: %s", len(self._overflow), error)
            if is_damaged:
                self._on_damage()
            return False
        self._overflow.drop(len(batch))
        return True

    def _young_after(self) -> int:
        """What this life has heard is as young as this life."""
        has_lasted = self._clock.monotonic_ns() - self._opened_ns >= self._max_age_ns
        return _ALL if has_lasted else self._first_seq

    def _look_at_space(self) -> None:
        try:
            free_mib = shutil.disk_usage(self._state_dir).free / _MIB
        except OSError as error:
            self._set("low", f"{self._state_dir}: {error.strerror}")
            return
        if free_mib < self._settings.low_space_mib:
            self._set("low", f"{free_mib:.0f} MiB are free, telemetry is off below {self._settings.low_space_mib} MiB")
        else:
            self._set("ok", "everything is journalled, and there is room")
            put_by(self._state_dir)

    def _set(self, storage: StorageState, reason: str) -> None:
        if storage != self.storage:
            self.storage, self.reason = storage, reason

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
