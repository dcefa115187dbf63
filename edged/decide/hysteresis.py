"""From scores to onset and cleared: k of the last n segments above, then m in a row below a lower level.

             score above the threshold in k of the last n segments
      CALM  ------------------------------------------------------->  ALARM
            <-------------------------------------------------------
             m segments in a row at or below the release level

A pure state machine: no clock, no thread. In alarm, `update` is given every `update_every` segments. What was above the
threshold so long before a gap that the last n segments without it would not reach back to it, counts no more.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

TransitionKind = Literal["onset", "update", "cleared"]


class HysteresisSettings(BaseModel):
    """When an alarm begins and ends.

    Attributes:
        onset_count: k, segments above the threshold that begin an alarm.
        onset_window: n, among the last so many.
        clear_count: m, segments in a row at or below the release level that end it.
        release: the release level is the threshold lowered by this share of its distance from `typical_score`.
        update_every: segments between updates while the alarm lasts; 0 gives none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    onset_count: int = Field(default=2, ge=1, le=100)
    onset_window: int = Field(default=3, ge=1, le=100)
    clear_count: int = Field(default=3, ge=1, le=1000)
    release: float = Field(default=0.2, ge=0.0, le=1.0)
    update_every: int = Field(default=12, ge=0)

    @model_validator(mode="after")
    def _possible(self) -> HysteresisSettings:
        if self.onset_count > self.onset_window:
            raise ValueError("onset_count cannot exceed onset_window")
        return self


@dataclass(frozen=True)
class Transition:
    """A change of state, or news of a lasting one.

    Attributes:
        kind: ``onset``, ``update`` or ``cleared``.
        sample_start: first sample of the segment that decided.
        sample_end: one past its last.
        onset_sample: first of the samples that were new in the first segment above the threshold that led here:
            segments overlap, and what came before was already judged to be normal.
        offset_sample: end of the last segment above the release level; None while the alarm lasts.
        peak_score: highest score since the onset.
        anomaly_score: the deciding segment's.
    """

    kind: TransitionKind
    sample_start: int
    sample_end: int
    onset_sample: int
    offset_sample: int | None
    peak_score: float
    anomaly_score: float


@dataclass(frozen=True, slots=True)
class _Judged:
    """One of the last segments while calm."""

    is_above: bool
    new_from: int
    sample_end: int
    anomaly_score: float


class Hysteresis:
    """State of one monitor."""

    def __init__(self, settings: HysteresisSettings | None = None) -> None:
        self.settings = settings or HysteresisSettings()
        self.reset()

    def reset(self) -> None:
        """Calm, without memory."""
        self._recent: deque[_Judged] = deque(maxlen=self.settings.onset_window)
        self.in_alarm = False
        self._seen_until = 0
        self._onset_sample = 0
        self._last_high_end = 0
        self._peak = float("-inf")
        self._calm_run = 0
        self._since_update = 0

    def skip(self) -> None:
        """A segment could not be judged: what was above the threshold before it does not join what comes after.

        The segments at both edges of a disturbance hold some of it; together they would be an onset.
        """
        self._recent.clear()

    def end(self, anomaly_score: float, sample_start: int, sample_end: int) -> list[Transition]:
        """Nothing will be judged any more: an alarm that lasts is cleared as of the last segment, which is given."""
        lasted, self.in_alarm = self.in_alarm, False
        self._recent.clear()
        return [self._transition("cleared", anomaly_score, sample_start, sample_end)] if lasted else []

    def push(
        self, anomaly_score: float, threshold: float, sample_start: int, sample_end: int, typical_score: float = 0.0
    ) -> list[Transition]:
        """Judge the next segment.

        Args:
            anomaly_score: higher = more anomalous; NaN counts as neither above nor below.
            threshold: may change between calls.
            sample_start: of the segment; `sample_end` one past it.
            typical_score: what normal sound scores; the release level lies between it and the threshold.
        """
        new_from = self._first_new_sample(sample_start, sample_end)
        if math.isnan(anomaly_score):
            return []
        if self.in_alarm:
            release_level = threshold - self.settings.release * max(threshold - typical_score, 0.0)
            return self._while_alarm(anomaly_score, release_level, sample_start, sample_end)
        self._forget_what_is_long_ago(sample_start, sample_end)
        self._recent.append(_Judged(anomaly_score > threshold, new_from, sample_end, anomaly_score))
        return self._while_calm(anomaly_score, sample_start, sample_end)

    def _first_new_sample(self, start: int, end: int) -> int:
        """First sample of the segment that no segment before it held."""
        overlaps = start < self._seen_until < end
        first = self._seen_until if overlaps else start
        self._seen_until = end
        return first

    def _forget_what_is_long_ago(self, start: int, end: int) -> None:
        """Drop what lies more than a window of whole segments back, or on a clock that has been set back."""
        horizon = start - self.settings.onset_window * (end - start)
        while self._recent and not horizon < self._recent[0].sample_end <= end:
            self._recent.popleft()

    def _while_calm(self, score: float, start: int, end: int) -> list[Transition]:
        high = [judged for judged in self._recent if judged.is_above]
        if len(high) < self.settings.onset_count:
            return []
        self.in_alarm = True
        self._onset_sample, self._peak = high[0].new_from, max(judged.anomaly_score for judged in high)
        self._last_high_end, self._calm_run, self._since_update = end, 0, 0
        return [self._transition("onset", score, start, end)]

    def _while_alarm(self, score: float, release_level: float, start: int, end: int) -> list[Transition]:
        self._peak = max(self._peak, score)
        self._since_update += 1
        if score > release_level:
            self._last_high_end, self._calm_run = end, 0
        else:
            self._calm_run += 1
        if self._calm_run >= self.settings.clear_count:
            self.in_alarm = False
            self._recent.clear()
            return [self._transition("cleared", score, start, end)]
        if self.settings.update_every and self._since_update >= self.settings.update_every:
            self._since_update = 0
            return [self._transition("update", score, start, end)]
        return []

    def _transition(
        self, kind: Literal["onset", "update", "cleared"], score: float, start: int, end: int
    ) -> Transition:
        offset = self._last_high_end if kind == "cleared" else None
        return Transition(kind, start, end, self._onset_sample, offset, self._peak, score)
