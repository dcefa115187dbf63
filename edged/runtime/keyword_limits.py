"""Keeps the limits of words for a budget of false alarms: remembers what came near to them, and finds limits anew.

    worker -> near misses of a minute -> (keeper's thread) -> history -> limits -> monitor, between two segments

Nothing here can delay a word: the worker only hands a list over. A disk that fails costs history, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edged.clock import NS_PER_S, Clock
from edged.config import KeywordSettings
from edged.decide.near_misses import NearMisses, merged
from edged.pipeline import KeywordMonitor, Monitor
from edged.references.keyword_history import NearMissHistory
from edged.references.keyword_limits import LimitFinder, WordLimit
from edged.runtime.keeper import BetweenSegments, Keeper, MetDamage, finite
from edged.runtime.messages import Announce, StatusChange
from edged.runtime.stream import Stream

TAKE_EVERY_S = 60.0
THRESHOLD_SETTINGS = {"threshold", "thresholds", "false_alarms_per_hour", "false_alarm_confidence"}


class KeywordLimitKeeper(Keeper[KeywordMonitor]):
    """Limits of the keyword monitors of all streams; args as for `Keeper`."""

    NAME = "keyword-limits"
    FIND_EVERY_S = 900.0
    LOSS = "what came near to words lately is lost to their limits"

    def __init__(
        self,
        state_dir: Path,
        streams: Mapping[str, Stream],
        *,
        between_segments: BetweenSegments,
        announce: Announce,
        clock: Clock,
        met_damage: MetDamage = lambda _: None,
    ) -> None:
        super().__init__(
            state_dir, streams, KeywordMonitor,
            between_segments=between_segments, announce=announce, clock=clock, met_damage=met_damage,
        )  # fmt: skip
        self._settings = {name: monitor.settings for name, monitor in self._monitors.items()}
        self._waiting: dict[str, list[dict[str, NearMisses]]] = {name: [] for name in self._monitors}
        self._taken_ns = dict.fromkeys(self._monitors, clock.monotonic_ns())
        self._found: dict[str, tuple[WordLimit, ...]] = {}

    def stop(self, timeout_s: float) -> bool:
        """Store what was heard and end; whether that came in time. The worker has ended."""
        for name, monitor in self._monitors.items():
            self._take(name, monitor)
        return super().stop(timeout_s)

    def heard(self, stream: Stream, monitor: Monitor) -> None:
        """A monitor has heard something (worker's thread)."""
        if not isinstance(monitor, KeywordMonitor) or stream.name not in self._monitors:
            return
        if self._clock.monotonic_ns() - self._taken_ns[stream.name] >= TAKE_EVERY_S * NS_PER_S:
            self._take(stream.name, monitor)
        self._follow_bank(stream.name, monitor)

    def use_settings(self, stream: str, settings: KeywordSettings) -> bool:
        """Let a monitor take what a changed configuration says of its thresholds; whether anything changed."""
        if stream not in self._monitors:
            return False
        asked = settings.model_dump(include=THRESHOLD_SETTINGS)
        if asked == self._settings[stream].model_dump(include=THRESHOLD_SETTINGS):
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
            for taken in monitor.take_near_misses():
                _add(self._waiting[name], {word: part for word, part in taken.items() if part.hours > 0.0})

    # -- the keeper's thread -------------------------------------------------------------------------------------------

    def _store(self) -> bool:
        with self._condition:
            waiting, self._waiting = self._waiting, {name: [] for name in self._monitors}
        if not any(waiting.values()):
            return False
        now_ns = self._clock.wall_ns()
        with NearMissHistory(self._state_dir) as history:
            for name, parts in waiting.items():
                for heard in parts:
                    history.append(name, heard, now_ns=now_ns)
        return True

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
        for one in found if self._is_news(name, said) else ():
            self._announce(StatusChange(name, "threshold", f"{one.word}: {-one.limit:.2f}", reason_of(one, settings)))


def _add(parts: list[dict[str, NearMisses]], heard: dict[str, NearMisses]) -> None:
    """To the last part, or as a new one where a word's limit has changed meanwhile."""
    last = parts[-1] if parts else {}
    if any(word in last and last[word].limit != part.limit for word, part in heard.items()):
        last = {}
    together = last | {word: merged(last[word], part) if word in last else part for word, part in heard.items()}
    if together:
        parts[-1 if last else len(parts) :] = [together]


def limit_facts(found: Sequence[WordLimit], settings: KeywordSettings) -> dict[str, Any]:
    """Limits as JSON-serialisable facts; thresholds are scores, minus the distance."""
    words = {
        one.word: {
            "threshold": -one.limit,
            "basis": one.basis,
            "false_alarms_per_hour": {
                "budget": settings.false_alarms_per_hour,
                "expected": finite(one.rate.per_hour),
                "low": finite(one.rate.low_per_hour),
                "high": finite(one.rate.high_per_hour),
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
