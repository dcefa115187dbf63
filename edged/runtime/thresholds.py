"""Keeps thresholds for a budget of false alarms: remembers normal scores, and from time to time finds them anew.

    worker -> a recorder per stream -> (keeper's thread) -> score history -> threshold -> monitor, between two segments

Nothing here can delay a score: the worker only appends to a list. A disk that fails costs history, and says so.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edged.clock import Clock
from edged.config import AnomalySettings
from edged.errors import StateError
from edged.flow import Outcome
from edged.pipeline import AnomalyMonitor, Monitor
from edged.references.anomaly import AnomalyBank, bank_of_store
from edged.references.finding import Finding, find
from edged.references.history import ScoreHistory
from edged.references.store import BankStore
from edged.references.thresholds import FoundThresholds, ThresholdStore, threshold_settings
from edged.runtime.keeper import BetweenSegments, Keeper, MetDamage, finite
from edged.runtime.messages import Announce, StatusChange
from edged.runtime.recorder import Recorder
from edged.runtime.stream import Stream

WORTH_A_CHANGE = 0.03


class ThresholdKeeper(Keeper[AnomalyMonitor]):
    """Thresholds of the anomaly monitors of all streams; args as for `Keeper`."""

    NAME = "thresholds"
    FIND_EVERY_S = 1800.0
    LOSS = "the scores heard lately are lost to the thresholds"

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
            state_dir, streams, AnomalyMonitor,
            between_segments=between_segments, announce=announce, clock=clock, met_damage=met_damage,
        )  # fmt: skip
        self._recorders = {name: Recorder(m.spec.hop_samples) for name, m in self._monitors.items()}
        self._asked = {name: threshold_settings(m.settings) for name, m in self._monitors.items()}
        self._findings: dict[str, Finding] = {}
        self._lost: Counter[str] = Counter()

    def heard(self, stream: Stream, monitor: Monitor, outcome: Outcome) -> None:
        """Take what a monitor made of a segment (worker's thread)."""
        if monitor.name != "anomaly" or stream.name not in self._recorders:
            return
        self._recorders[stream.name].push(outcome, monitor.bank_version, stream.clock.wall_ns)
        self._follow_bank(stream.name, monitor)

    def use_settings(self, stream: str, settings: AnomalySettings) -> bool:
        """Let a monitor take what a changed configuration says of its threshold; whether anything changed."""
        monitor, asked = self._monitors.get(stream), threshold_settings(settings)
        if monitor is None or asked == self._asked[stream]:  # what it was asked last it may not have taken yet
            return False
        self._asked[stream] = asked
        self._between_segments(lambda: monitor.use_threshold_settings(settings))
        self._between_segments(self.wake)
        return True

    def status(self, stream: str) -> dict[str, Any] | None:
        """For `edged status`: the threshold, its basis and its false alarms per day; None before the first look.

        And how many scores were lost to it, because they could not be stored; those that wait are none.
        """
        finding, monitor = self._findings.get(stream), self._monitors.get(stream)
        if finding is None or monitor is None:
            return None
        return finding_facts(finding, monitor.settings) | {"lost_scores": self.lost_scores(stream)}

    def lost_scores(self, stream: str) -> int:
        """Scores of normal sound that never came into the history."""
        return self._lost.get(stream, 0) + self._recorders[stream].given_up

    # -- the keeper's thread -------------------------------------------------------------------------------------------

    def _store(self) -> bool:
        waiting = {name: taken for name, recorder in self._recorders.items() if (taken := recorder.take())}
        if not waiting:
            return False
        now_ns = self._clock.wall_ns()
        try:
            with ScoreHistory(self._state_dir) as history:
                while waiting:
                    name, taken = next(iter(waiting.items()))
                    for bank, group in itertools.groupby(taken, key=lambda item: item[0]):
                        history.append(name, "anomaly", bank, [stretch for _, stretch in group], now_ns=now_ns)
                    del waiting[name]
        except StateError:
            for name, taken in waiting.items():
                self._lost[name] += sum(len(stretch.scores) for _, stretch in taken)
            raise
        return True

    def _find(self, name: str, monitor: AnomalyMonitor) -> None:
        bank, settings, choice = monitor.bank, monitor.settings, monitor.thresholds
        if bank is None or choice is None or choice.bank != bank.version:  # it changes just now, and will wake us
            self._findings.pop(name, None)
            return
        with ScoreHistory(self._state_dir) as history:
            self._adopt(history, monitor, bank)
            stretches = history.stretches(name, "anomaly", bank.version)
        finding = find(bank, stretches, settings, monitor.rule, choice.of_enrolment)
        found, used = finding.found(bank.version, settings), choice.applicable
        if found is None and used is not None:  # what was heard then has been forgotten, but what it said still holds
            at_used = find(bank, stretches, settings, monitor.rule, used.threshold)
            finding = replace(at_used, basis="found earlier", domains=dict(used.domains))
        elif found is not None and (used is None or _differ(found, used)):
            with ThresholdStore(self._state_dir) as store:
                store.save(name, "anomaly", found)
            self._between_segments(lambda: monitor.use_found_thresholds(found))
        elif found is not None and used is not None:
            finding = replace(finding, threshold=used.threshold, domains=dict(used.domains))
        self._findings[name] = finding
        self._tell(name, finding, settings)

    def _adopt(self, history: ScoreHistory, monitor: AnomalyMonitor, bank: AnomalyBank) -> None:
        """Go on with what the version before has heard, where only its labels differ and it scores alike."""
        other = history.latest_other(monitor.stream, "anomaly", bank.version)
        if other is None:
            return
        try:
            with BankStore(self._state_dir) as store:
                before = bank_of_store(store.load(monitor.stream, "anomaly", other), monitor.bundle)
        except StateError:  # removed, or made with another bundle: what it heard is of no use
            return
        if np.array_equal(before.scorer.normal_scores, bank.scorer.normal_scores, equal_nan=True):
            history.adopt(monitor.stream, "anomaly", bank.version, other)

    def _tell(self, name: str, finding: Finding, settings: AnomalySettings) -> None:
        """Announce what is new, once."""
        if settings.false_alarms_per_day is None:
            return
        said = (finding.basis, finding.threshold, settings.false_alarms_per_day, settings.false_alarm_confidence)
        if self._is_news(name, said):
            self._announce(StatusChange(name, "threshold", f"{finding.threshold:.3f}", reason_of(finding, settings)))


def finding_facts(finding: Finding, settings: AnomalySettings) -> dict[str, Any]:
    """A finding as JSON-serialisable facts."""
    rate = finding.rate
    return {
        "threshold": finding.threshold,
        "basis": finding.basis,
        "false_alarms_per_day": {
            "budget": settings.false_alarms_per_day,
            "expected": finite(rate.per_day),
            "low": finite(rate.low_per_day),
            "high": finite(rate.high_per_day),
            "confidence": settings.false_alarm_confidence,
        },
        "heard_h": rate.heard_h,
        "needed_h": finding.needed_h,
        "is_capped": finding.is_capped,
        "domains": finding.domains,
    }


def reason_of(finding: Finding, settings: AnomalySettings) -> str:
    """What an operator wants to know of a threshold."""
    rate = finding.rate
    if finding.basis == "enrolled clips":
        lacking = (
            f"not enough data yet: need about {finding.needed_h:.2g} more hours"
            if finding.needed_h is not None
            else "too many alarms to tell what is normal: judge them with `edged feedback`"
        )
        budget = f"{settings.false_alarms_per_day:g} false alarms per day"
        return f"{lacking}, for {budget}; the enrolled clips' own threshold stands"
    confidence = f"with {settings.false_alarm_confidence:.0%} confidence"
    if math.isnan(rate.per_day):
        most = f"up to {rate.high_per_day:.2g} false alarms per day {confidence}"
        return f"{most}: {rate.heard_h:.2g} hours say too little"
    text = (
        f"{rate.per_day:.2g} false alarms per day ({rate.low_per_day:.2g} to {rate.high_per_day:.2g} "
        f"{confidence}), {finding.basis} from {rate.heard_h:.3g} hours"
    )
    capped = "; the budget would need a higher threshold than is allowed: enrol what it sounds like now"
    return text + (capped if finding.is_capped else "")


def _differ(new: FoundThresholds, old: FoundThresholds) -> bool:
    """Whether a change is worth making: thresholds that wander with every look only confuse."""
    if (new.bank, new.false_alarms_per_day, new.confidence) != (old.bank, old.false_alarms_per_day, old.confidence):
        return True
    if new.domains.keys() != old.domains.keys():
        return True
    pairs = [(new.threshold, old.threshold), *((new.domains[name], old.domains[name]) for name in new.domains)]
    return any(abs(a - b) > WORTH_A_CHANGE * abs(b) for a, b in pairs)
