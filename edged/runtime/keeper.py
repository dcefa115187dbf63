"""A thread that stores what was heard, and from time to time finds in all of it anew where monitors are to decide.

    worker -> what it hands over -> (keeper's thread) -> history -> what is found -> monitor, between two segments

Nothing here can delay the worker. A disk that fails costs history, and says so.
"""

from __future__ import annotations

import logging
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from edged.clock import NS_PER_S, Clock
from edged.errors import DamagedError, StateError
from edged.pipeline import Monitor
from edged.runtime.messages import Announce, StatusChange
from edged.runtime.stream import Stream

_log = logging.getLogger(__name__)

WRITE_EVERY_S = 300.0
_DAEMON = "edged"

BetweenSegments = Callable[[Callable[[], None]], None]
MetDamage = Callable[[str], None]
M = TypeVar("M", bound=Monitor)


class Keeper(ABC, Generic[M]):
    """One thread for the monitors of a kind, of all streams.

    Args:
        kind: the class of the monitors.
        between_segments: lets the worker do something between two segments.
        announce: makes a status event.
        met_damage: told where the database turns out to be damaged.

    Attributes:
        failures: how often the history could not be stored or read.
    """

    NAME: ClassVar[str]
    """Of the thread."""
    FIND_EVERY_S: ClassVar[float]
    LOSS: ClassVar[str]
    """What a failing disk costs, for the log."""

    def __init__(
        self,
        state_dir: Path,
        streams: Mapping[str, Stream],
        kind: type[M],
        *,
        between_segments: BetweenSegments,
        announce: Announce,
        clock: Clock,
        met_damage: MetDamage = lambda _: None,
    ) -> None:
        self._state_dir = state_dir
        self._between_segments, self._announce, self._clock = between_segments, announce, clock
        self._met_damage = met_damage
        self._monitors = {
            name: monitor
            for name, stream in streams.items()
            for monitor in stream.monitors
            if isinstance(monitor, kind)
        }
        self._found_for: dict[str, int] = {}
        self._announced: dict[str, object] = {}
        self._is_history_failing = False
        self.failures = 0
        self._condition = threading.Condition()
        self._is_due = True
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=self.NAME, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Store what was heard and end; whether that came in time."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Find everything anew, soon; from any thread."""
        with self._condition:
            self._is_due = True
            self._condition.notify_all()

    def _follow_bank(self, name: str, monitor: Monitor) -> None:
        """Wake where a stream's references are others than before (worker's thread)."""
        if monitor.bank_version != self._found_for.get(name, 0):
            self._found_for[name] = monitor.bank_version
            self.wake()

    # -- the keeper's thread -------------------------------------------------------------------------------------------

    @abstractmethod
    def _store(self) -> bool:
        """Store what was heard since the last time; whether there was any.

        Raises:
            StateError: it, or a part of it, is lost.
        """

    @abstractmethod
    def _find(self, name: str, monitor: M) -> None:
        """Find a stream's anew, and let its monitor take it.

        Raises:
            StateError: the history cannot be read.
        """

    def _run(self) -> None:
        look_at_ns = 0
        while not self._stopping:
            with self._condition:
                self._condition.wait_for(lambda: self._stopping or self._is_due, WRITE_EVERY_S)
                is_due, self._is_due = self._is_due, False
            self._write()
            if not self._stopping and (is_due or self._clock.monotonic_ns() >= look_at_ns):
                self._find_all()
                look_at_ns = self._clock.monotonic_ns() + round(self.FIND_EVERY_S * NS_PER_S)
        self._write()

    def _write(self) -> None:
        try:
            if self._store():
                self._is_history_failing = False
        except StateError as error:
            self._history_fails(error)

    def _find_all(self) -> None:
        for name, monitor in self._monitors.items():
            if self._stopping:
                return
            try:
                self._find(name, monitor)
            except StateError as error:
                self._history_fails(error)

    def _history_fails(self, error: StateError) -> None:
        self.failures += 1
        _log.error("%s: %s", self.LOSS, error)
        if isinstance(error, DamagedError):
            self._met_damage(error.message)
        if not self._is_history_failing:
            self._announce(StatusChange(_DAEMON, "threshold", "history lost", str(error)))
        self._is_history_failing = True

    def _is_news(self, name: str, said: object) -> bool:
        """Whether something else than this was said of a stream the last time."""
        is_news = self._announced.get(name) != said
        self._announced[name] = said
        return is_news


def finite(value: float) -> float | None:
    """A number as JSON knows it; None for what is none.

    >>> finite(1.5), finite(math.inf), finite(math.nan)
    (1.5, None, None)
    """
    return value if math.isfinite(value) else None
