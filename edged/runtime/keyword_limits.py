"""Keeps the limits of words for a budget of false alarms: remembers what came near to them, and finds limits anew.

    worker -> near misses of a minute -> (keeper's thread) -> history -> limits -> monitor, between two segments

Nothing here can delay a word: the worker only hands a list over. A disk that fails costs history, and says so.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edged.clock import NS_PER_S, Clock
from edged.config import KeywordSettings
from edged.decide.near_misses import NearMisses, merged
from edged.errors import StateError
from edged.pipeline import KeywordMonitor, Monitor
from edged.references.keyword_history import NearMissHistory
from edged.references.keyword_limits import LimitFinder, WordLimit
from edged.runtime.messages import Announce, StatusChange
from edged.runtime.stream import Stream

_log = logging.getLogger(__name__)

TAKE_EVERY_S = 60.0
WRITE_EVERY_S = 300.0
FIND_EVERY_S = 900.0
_DAEMON = "edged"
_THRESHOLDS = {"threshold", "thresholds", "false_alarms_per_hour", "false_alarm_confidence"}

BetweenSegments = Callable[[Callable[[], None]], None]


class KeywordLimitKeeper:
    """One thread for the keyword monitors of all streams.

    Args:
        between_segments: lets the worker do something between two segments.
        announce: makes a status event.
    """

    def __init__(
        self,
        state_dir: Path,
        streams: Mapping[str, Stream],
        *,
        between_segments: BetweenSegments,
        announce: Announce,
        clock: Clock,
    ) -> None:
        self._state_dir = state_dir
        self._between_segments, self._announce, self._clock = between_segments, announce, clock
        self._monitors = {
            name: monitor
            for name, stream in streams.items()
            for monitor in stream.monitors
            if isinstance(monitor, KeywordMonitor)
        }
        self._settings = {name: monitor.settings for name, monitor in self._monitors.items()}
        self._waiting: dict[str, dict[str, NearMisses]] = {name: {} for name in self._monitors}
        self._taken_ns = dict.fromkeys(self._monitors, clock.monotonic_ns())
        self._found: dict[str, tuple[WordLimit, ...]] = {}
        self._found_for: dict[str, int] = {}
        self._announced: dict[str, object] = {}
        self._is_history_failing = False
        self._condition = threading.Condition()
        self._is_due = True
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="keyword-limits", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Store what was heard and end; whether that came in time. The worker has ended."""
        for name, monitor in self._monitors.items():
            self._take(name, monitor)
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Find every limit anew, soon; from any thread."""
        with self._condition:
            self._is_due = True
            self._condition.notify_all()

    def heard(self, stream: Stream, monitor: Monitor) -> None:
        """A monitor has heard something (worker's thread)."""
        if not isinstance(monitor, KeywordMonitor) or stream.name not in self._monitors:
            return
        if self._clock.monotonic_ns() - self._taken_ns[stream.name] >= TAKE_EVERY_S * NS_PER_S:
            self._take(stream.name, monitor)
        if monitor.bank_version != self._found_for.get(stream.name, 0):
            self._found_for[stream.name] = monitor.bank_version
            self.wake()

    def use_settings(self, stream: str, settings: KeywordSettings) -> bool:
        """Let a monitor take what a changed configuration says of its thresholds; whether anything changed."""
        if stream not in self._monitors:
            return False
        asked = settings.model_dump(include=_THRESHOLDS)
        if asked == self._settings[stream].model_dump(include=_THRESHOLDS):
            return False
        self._settings[stream] = self._settings[stream].model_copy(update=asked)
        self.wake()
        return True

    def status(self, stream: str) -> dict[str, Any] | None:
        """For `edged status`: every word's limit, its basis, its false alarms per hour; None before the first look."""
        found = self._found.get(stream)
        return None if found is None else limit_facts(found, self._settings[stream])

    # -- the worker's thread -------------------------------------------------------------------------------------------

    def _take(self, name: str, monitor: KeywordMonitor) -> None:
        self._taken_ns[name] = self._clock.monotonic_ns()
        with self._condition:
            waiting = self._waiting[name]
            for taken in monitor.take_near_misses():
                for word, part in taken.items():
                    if part.hours <= 0.0:
                        continue
                    before = waiting.get(word)
                    is_alike = before is not None and before.limit == part.limit
                    waiting[word] = merged(before, part) if before and is_alike else part

    # -- the keeper's thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        look_at_ns = 0
        while not self._stopping:
            with self._condition:
                self._condition.wait_for(lambda: self._stopping or self._is_due, WRITE_EVERY_S)
                is_due, self._is_due = self._is_due, False
            self._write()
            if not self._stopping and (is_due or self._clock.monotonic_ns() >= look_at_ns):
                self._find_all()
                look_at_ns = self._clock.monotonic_ns() + round(FIND_EVERY_S * NS_PER_S)
        self._write()

    def _write(self) -> None:
        """Store what was heard since the last time."""
        with self._condition:
            waiting, self._waiting = self._waiting, {name: {} for name in self._monitors}
        if not any(waiting.values()):
            return
        now_ns = self._clock.wall_ns()
        try:
            with NearMissHistory(self._state_dir) as history:
                for name, heard in waiting.items():
                    if heard:
                        history.append(name, heard, now_ns=now_ns)
            self._is_history_failing = False
        except StateError as error:
            self._history_fails(error)

    def _history_fails(self, error: StateError) -> None:
        _log.error("what came near to words lately is lost to their limits: %s", error)
        if not self._is_history_failing:
            self._announce(StatusChange(_DAEMON, "threshold", "history lost", str(error)))
        self._is_history_failing = True

    def _find_all(self) -> None:
        for name, monitor in self._monitors.items():
            if self._stopping:
                return
            try:
                self._find(name, monitor)
            except StateError as error:
                self._history_fails(error)

    def _find(self, name: str, monitor: KeywordMonitor) -> None:
        bank, settings = monitor.bank, self._settings[name]
        if bank is None:
            self._found.pop(name, None)
            return
        words = [bank.model.identity(place) for place in range(len(bank.model.words))]
        with NearMissHistory(self._state_dir) as history:
            heard = {word: history.parts(name, word) for word in words}
        found = tuple(LimitFinder(bank, settings, heard).all())
        self._found[name] = found
        self._between_segments(lambda: monitor.use_limits(found, settings, bank.version))
        self._tell(name, found, settings)

    def _tell(self, name: str, found: Sequence[WordLimit], settings: KeywordSettings) -> None:
        """Announce what is new, once."""
        if settings.false_alarms_per_hour is None:
            return
        said = tuple((one.word, one.limit, one.basis) for one in found)
        if self._announced.get(name) == said:
            return
        self._announced[name] = said
        for one in found:
            self._announce(StatusChange(name, "threshold", f"{one.word}: {-one.limit:.2f}", reason_of(one, settings)))


def limit_facts(found: Sequence[WordLimit], settings: KeywordSettings) -> dict[str, Any]:
    """Limits as JSON-serialisable facts; thresholds are scores, minus the distance."""
    words = {
        one.word: {
            "threshold": -one.limit,
            "basis": one.basis,
            "false_alarms_per_hour": {
                "budget": settings.false_alarms_per_hour,
                "expected": _finite(one.rate.per_hour),
                "low": _finite(one.rate.low_per_hour),
                "high": _finite(one.rate.high_per_hour),
                "confidence": settings.false_alarm_confidence,
            },
            "heard_h": one.rate.heard_h,
            "needed_h": one.needed_h,
        }
        for one in found
    }
    expected = [one.rate.per_hour for one in found if math.isfinite(one.rate.per_hour)]
    return {"words": words, "expected_per_hour": sum(expected) if len(expected) == len(found) else None}


def reason_of(found: WordLimit, settings: KeywordSettings) -> str:
    """What an operator wants to know of a word's threshold."""
    if found.needed_h is not None:
        budget = f"{settings.false_alarms_per_hour:g} false alarms per hour"
        lacking = f"not enough data yet: need about {found.needed_h:.2g} more hours"
        return f"{lacking}, for {budget}; the bundle's own threshold stands"
    rate = found.rate
    return (
        f"{rate.per_hour:.2g} false alarms per hour ({rate.low_per_hour:.2g} to {rate.high_per_hour:.2g} with "
        f"{settings.false_alarm_confidence:.0%} confidence), {found.basis}, from {rate.heard_h:.3g} hours"
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
