"""What follows from the scores of one stream: onset, update and cleared with their severity, and drift.

    scored segment -> hysteresis --- in alarm or changing ---> onset | update | cleared, with severity
                          `--------- calm ------------------> drift

Segments whose input was no sound are skipped: an alarm that lasts is neither cleared nor prolonged by them.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

from edged.decide.drift import Drift, DriftChange, DriftSettings
from edged.decide.hysteresis import Hysteresis, HysteresisSettings, Transition
from edged.decide.normal import NormalScores
from edged.decide.severity import severity
from edged.flow import SAMPLE_RATE_HZ, Detection, Scored

_DOMAINS_KEPT = 256


class AnomalyDecider:
    """State of one monitor.

    Args:
        hysteresis: when an alarm begins and ends.
        drift: what counts as drift; None = it is not looked for.
    """

    def __init__(self, hysteresis: HysteresisSettings, drift: DriftSettings | None) -> None:
        self._normal = NormalScores()
        self._hysteresis = Hysteresis(hysteresis)
        self._drift = Drift(drift, self._normal) if drift else None
        self._ended: list[DriftChange] = []
        self._domains: deque[str] = deque(maxlen=_DOMAINS_KEPT)
        self._last: tuple[Scored, int, int] | None = None  # with its epoch and the bank's version

    def use_normal(self, normal: NormalScores) -> None:
        """References changed: this is what normal sound scores from the next segment on."""
        self._normal = normal
        if self._drift:
            self._ended += self._drift.use_normal(normal)

    def skip(self) -> None:
        """The next segment could not be judged."""
        self._hysteresis.skip()

    def push(self, scored: Scored, epoch: int, bank_version: int) -> tuple[Detection, ...]:
        """What the score of the next segment that was judged decides."""
        self._last = scored, epoch, bank_version
        score, start, end = scored.anomaly_score, scored.sample_start, scored.sample_end
        transitions = self._hysteresis.push(score, scored.threshold, start, end, self._normal.typical)
        changes, self._ended = self._ended, []
        if self._drift and not self._hysteresis.in_alarm:
            self._domains.append(scored.domain)
            changes += self._drift.push(score, start, end)
        return (
            *(self._alarm(transition, scored, epoch, bank_version) for transition in transitions),
            *(self._drifted(change, scored, epoch, bank_version) for change in changes),
        )

    def end(self, reason: str) -> tuple[Detection, ...]:
        """Nothing will be judged any more: what lasts, an alarm or a drift, is over as of the last segment.

        Args:
            reason: for the events' details.
        """
        if self._last is None:
            return ()
        scored, epoch, bank_version = self._last
        transitions = self._hysteresis.end(scored.anomaly_score, scored.sample_start, scored.sample_end)
        changes, self._ended = [*self._ended, *(self._drift.end() if self._drift else ())], []
        found = (
            *(self._alarm(transition, scored, epoch, bank_version) for transition in transitions),
            *(self._drifted(change, scored, epoch, bank_version) for change in changes),
        )
        return tuple(replace(one, details={**one.details, "reason": reason}) for one in found)

    def _alarm(self, transition: Transition, scored: Scored, epoch: int, bank_version: int) -> Detection:
        offset = transition.offset_sample
        lasted_s = ((transition.sample_end if offset is None else offset) - transition.onset_sample) / SAMPLE_RATE_HZ
        return Detection(
            kind=transition.kind,
            sample_start=scored.sample_start,
            sample_end=scored.sample_end,
            onset_sample=transition.onset_sample,
            offset_sample=offset,
            score=transition.anomaly_score,
            threshold=scored.threshold,
            domain=scored.domain,
            bank_version=bank_version,
            epoch=epoch,
            severity=severity(transition.peak_score, scored.threshold, self._normal.typical, lasted_s),
            details={"peak_score": transition.peak_score},
        )

    def _drifted(self, change: DriftChange, scored: Scored, epoch: int, bank_version: int) -> Detection:
        counts = Counter(self._domains)
        return Detection(
            kind="drift",
            sample_start=scored.sample_start,
            sample_end=scored.sample_end,
            onset_sample=change.since_sample,
            offset_sample=change.until_sample,
            score=change.drifted_score,
            threshold=change.level,
            domain=counts.most_common(1)[0][0] if counts else scored.domain,
            bank_version=bank_version,
            epoch=epoch,
            details={"state": change.state, "spreads": round(change.spreads, 3)},
        )
