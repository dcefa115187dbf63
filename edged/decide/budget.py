"""False alarms per day of a threshold, and the threshold for so many a day, from the scores of normal sound.

    scores -> alarm statistic (k-th largest of the last n) -> clusters, as the hysteresis begins and clears them
           -> counted where enough were heard; further out the tail of their peaks

Overlapping segments exceed a threshold together, so segments are never counted: only the alarms that the hysteresis
would have raised, which are as good as independent. What was not heard in any form is not foreseen: the figures speak
of sound like that which was heard.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edged.decide.hysteresis import HysteresisSettings
from edged.decide.tail import HeardTime, Tail, fit_tail, gamma_quantile
from edged.flow import Float64Array

CONFIDENCE = 0.9
TAIL_CLUSTERS = 50
"""Clusters above the base level of the tail: fewer say too little of its shape, more lie too far below it."""
LEAST_CLUSTERS = 12
LEAST_EXPECTED = 1.0 / 12.0
"""False alarms that the budget must grant within the heard time: two hours for one a day, twenty for one in ten."""
MOST_LEFT_OUT = 150
"""Alarms that may have been left out, and never more than clusters that were not: the rest would be no fair sample."""
_BLOCKS = 20
_HOURS_PER_DAY = 24.0

Method = Literal["counted", "extrapolated", "none"]


@dataclass(frozen=True)
class Run:
    """Scores of consecutive segments.

    Attributes:
        scores: (n_segments,), higher = more anomalous; those that are not finite are passed over.
        ceiling: threshold in force meanwhile, whose alarms were left out, be they false or true; inf: none was. Up to
            it they count as false; beyond it, where they could raise a threshold further and further, they do not.
        ended_in_alarm: whether the run stops where one was left out.
    """

    scores: Float64Array
    ceiling: float = math.inf
    ended_in_alarm: bool = False


Runs = Sequence[Float64Array | Run]


@dataclass(frozen=True)
class FalseAlarmRate:
    """Onsets per day to be expected of normal sound.

    Attributes:
        per_day: the middle of what is likely.
        low_per_day: with `high_per_day` the band that holds the true rate with the stated confidence.
        heard_h: hours of normal sound this rests on.
    """

    per_day: float
    low_per_day: float
    high_per_day: float
    heard_h: float


@dataclass(frozen=True)
class BudgetThreshold:
    """A threshold that keeps a budget.

    Attributes:
        threshold: None: what was heard does not support one.
        rate: at the threshold; without one, at the highest level heard.
        method: ``counted``, ``extrapolated`` or ``none``.
        needed_h: about how many more hours have to be heard; None with a threshold, and where too many alarms were left
            out: hours help nothing, somebody has to say whether they were false.
    """

    threshold: float | None
    rate: FalseAlarmRate
    method: Method
    needed_h: float | None


def expected_false_alarms(
    runs: Runs,
    hop_s: float,
    hysteresis: HysteresisSettings,
    threshold: float,
    *,
    confidence: float = CONFIDENCE,
    segment_s: float | None = None,
    typical_score: float = 0.0,
) -> FalseAlarmRate:
    """False alarms per day at a threshold.

    Args:
        runs: scores of normal sound; a run shorter than the onset rule needs counts as if it had lasted at that height.
        hop_s: between the starts of two segments.
        confidence: of the band, within (0, 1).
        segment_s: length of a segment, where runs are single clips of little more; None: `hop_s`.
        typical_score: what normal sound scores; the hysteresis releases between it and the threshold.
    """
    heard = _Heard(runs, hop_s, hysteresis, segment_s, typical_score)
    return heard.rate(threshold, confidence)


def budget_threshold(
    runs: Runs,
    hop_s: float,
    hysteresis: HysteresisSettings,
    false_alarms_per_day: float,
    *,
    confidence: float = CONFIDENCE,
    segment_s: float | None = None,
    typical_score: float = 0.0,
) -> BudgetThreshold:
    """The lowest threshold at which the upper end of the band keeps within the budget; arguments as above."""
    heard = _Heard(runs, hop_s, hysteresis, segment_s, typical_score)
    needed_h = heard.needed_h(false_alarms_per_day)
    if needed_h > 0.0 or not heard.is_fair_sample:
        return BudgetThreshold(None, heard.rate(heard.highest, confidence), "none", needed_h or None)
    threshold = heard.threshold(false_alarms_per_day, confidence)
    method: Method = "extrapolated" if threshold > heard.tail.base_level else "counted"
    return BudgetThreshold(threshold, heard.rate(threshold, confidence), method, None)


class _Heard:
    """All runs as one series, with breaks between them that nothing spans."""

    def __init__(
        self, runs: Runs, hop_s: float, hysteresis: HysteresisSettings, segment_s: float | None, typical_score: float
    ) -> None:
        self._settings, self._typical_score = hysteresis, typical_score
        pieces = [run if isinstance(run, Run) else Run(np.asarray(run, np.float64)) for run in runs]
        pieces = [Run(p.scores[np.isfinite(p.scores)], p.ceiling, p.ended_in_alarm) for p in pieces]
        pieces = [piece for piece in pieces if len(piece.scores)]
        self._lay_out(pieces)
        extra_s = (segment_s or hop_s) - hop_s
        self._run_h = np.array([(len(p.scores) * hop_s + extra_s) / 3600.0 for p in pieces])
        self._ceilings = np.array([p.ceiling for p in pieces])
        # an alarm at no known threshold would be one at every level, and none would ever keep the budget
        self._ended = np.array([p.ended_in_alarm and math.isfinite(p.ceiling) for p in pieces], np.bool_)
        self.heard_h = float(self._run_h.sum())
        self.highest = float(self._statistic.max(initial=-math.inf))
        self._left_out = int(self._ended.sum())
        self._wanted = min(max(TAIL_CLUSTERS, self._left_out), MOST_LEFT_OUT)
        self.tail, self.n_clusters = self._fit()

    def _lay_out(self, pieces: Sequence[Run]) -> None:
        k = self._settings.onset_count
        gap = np.full(self._settings.onset_window + self._settings.clear_count, -np.inf)
        parts: list[Float64Array] = []
        self._starts, self._ends = np.zeros((2, len(pieces)), np.int64)
        at = 0
        for number, piece in enumerate(pieces):
            filled = np.concatenate([piece.scores, np.full(max(k - len(piece.scores), 0), piece.scores.max())])
            self._starts[number], self._ends[number] = at, at + len(filled)
            parts += [filled, gap]
            at += len(filled) + len(gap)
        self._scores = np.concatenate(parts) if parts else np.zeros(0)
        self._statistic = alarm_statistic(self._scores, k, self._settings.onset_window)

    # -- clusters ------------------------------------------------------------------------------------------------------

    def clusters(self, level: float) -> tuple[NDArray[np.int64], Float64Array]:
        """Segments with an onset at a threshold, and the highest alarm statistic of each alarm but those cut off.

        An alarm that goes over into one that was left out is left out as well: how high it rose was not kept.
        """
        spans = alarm_spans(self._scores, level, self._settings, self._typical_score)
        run_of = np.searchsorted(self._starts, spans[:, 0], side="right") - 1
        cut = self._ended[run_of] & (spans[:, 1] >= self._ends[run_of] - self._settings.onset_window)
        peaks = np.array([self._statistic[first : end + 1].max() for first, end in spans[~cut]], np.float64)
        return spans[:, 0], peaks

    def _fit(self) -> tuple[Tail, int]:
        """The tail above the highest level that enough clusters exceed; how many there are."""
        level = self._base_level()
        onsets, peaks = self.clusters(level)
        heard = HeardTime(self._run_h, np.maximum(self._ceilings, level), self._left_out)
        return fit_tail(peaks, level, heard, self._dispersion(onsets)), len(peaks)

    def _base_level(self) -> float:
        """The highest level with as many clusters above it as are wanted, or the one with the most of them."""
        falling = np.sort(self._statistic[np.isfinite(self._statistic)])[::-1]
        if not len(falling):
            return 0.0
        rank, last = min(self._wanted, len(falling) // 2), len(falling) // 2
        most, most_peaks = -1, np.zeros(0)
        while True:
            _, peaks = self.clusters(float(falling[rank]))
            if len(peaks) > most:
                most, most_peaks = len(peaks), peaks
            if len(peaks) >= self._wanted or rank == last:
                break
            rank = min(round(1.3 * rank) + 1, last)
        return float(np.nextafter(most_peaks.min(), -np.inf)) if len(most_peaks) else float(falling[0])

    @property
    def is_fair_sample(self) -> bool:
        """Whether what was left out is no more than what was not."""
        return self._left_out <= self.n_clusters

    def _dispersion(self, onsets: NDArray[np.int64]) -> float:
        """Variance over mean of the clusters' number in equal parts of the time: above 1 where they come in bouts."""
        if len(onsets) < _BLOCKS:
            return 1.0
        counts = np.histogram(onsets, _BLOCKS, (0, len(self._scores)))[0]
        return max(1.0, float(counts.var(ddof=1) / counts.mean()))

    # -- rates ---------------------------------------------------------------------------------------------------------

    def rate(self, level: float, confidence: float) -> FalseAlarmRate:
        """The rate at a threshold with its band."""
        if not self.heard_h:
            return FalseAlarmRate(math.nan, 0.0, math.inf, 0.0)
        probabilities = ((1.0 - confidence) / 2.0, 0.5, (1.0 + confidence) / 2.0)
        low, middle, high = (float(rate) * _HOURS_PER_DAY for rate in self._rates(level, probabilities))
        return FalseAlarmRate(middle, low, high, self.heard_h)

    def _rates(self, level: float, probabilities: Sequence[float]) -> Float64Array:
        """Quantiles of the rate per hour."""
        if level <= self.tail.base_level:
            return self._counted(level, probabilities)
        rates = self.tail.rate_quantiles(level, probabilities)
        if not self._n_left_out(level):
            return rates
        counted = self._counted(level, probabilities)
        return np.append(np.minimum(rates, counted)[:1], np.maximum(rates, counted)[1:])

    def _counted(self, level: float, probabilities: Sequence[float]) -> Float64Array:
        onsets, peaks = self.clusters(level)
        dispersion = self._dispersion(onsets)
        shape = (len(peaks) + self._n_left_out(level)) / dispersion + 0.5
        return np.array([gamma_quantile(shape, p) for p in probabilities]) * dispersion / self.heard_h

    def _n_left_out(self, level: float) -> int:
        """Alarms left out that were alarms at this level, too: it counts on them only up to the threshold of then."""
        return int(np.count_nonzero(self._ended & (self._ceilings >= level)))

    def threshold(self, per_day: float, confidence: float) -> float:
        """Lowest level whose band ends at or below the budget."""
        probability, per_h = (1.0 + confidence) / 2.0, per_day / _HOURS_PER_DAY
        base = self.tail.base_level

        def keeps(level: float) -> bool:
            if level > base and self.tail.confidence_within(level, per_h) < probability:
                return False
            is_certain = level > base and not self._n_left_out(level)
            return is_certain or bool(self._counted(level, (probability,))[0] <= per_h)

        low = float(np.median(self._statistic[np.isfinite(self._statistic)]))
        if keeps(base):
            return bisected(keeps, min(low, base), base)
        step = max(self.highest - low, 1e-6)
        while not keeps(base + step):
            step *= 2.0
        return bisected(keeps, base, base + step)

    def needed_h(self, per_day: float) -> float:
        """Hours that are missing for a budget; 0: none."""
        wanted_h = LEAST_EXPECTED * _HOURS_PER_DAY / per_day
        if self.n_clusters < LEAST_CLUSTERS:
            wanted_h = max(wanted_h, self.heard_h * LEAST_CLUSTERS / max(self.n_clusters, 1), 1.0)
        return wanted_h - self.heard_h if wanted_h > self.heard_h * (1.0 + 1e-9) else 0.0


def alarm_statistic(scores: Float64Array, k: int, n: int) -> Float64Array:
    """What must exceed the threshold for an onset: the k-th largest of the last n scores, (n_segments,).

    >>> alarm_statistic(np.array([1.0, 5.0, 2.0, 4.0]), 2, 3).tolist()
    [-inf, 1.0, 2.0, 4.0]
    """
    if not len(scores):
        return np.zeros(0)
    padded = np.concatenate([np.full(n - 1, -np.inf), scores])
    windows = np.lib.stride_tricks.sliding_window_view(padded, n)
    return np.asarray(np.partition(windows, n - k, axis=1)[:, n - k])


def alarm_spans(
    scores: Float64Array, threshold: float, settings: HysteresisSettings, typical_score: float = 0.0
) -> NDArray[np.int64]:
    """Alarms the hysteresis would raise on finite scores: (n_alarms, 2), segment of the onset and last one not calm.

    The same as pushing every score through `Hysteresis`, but only the segments above the threshold are visited.
    """
    release_level = threshold - settings.release * max(threshold - typical_score, 0.0)
    loud = np.flatnonzero(scores > release_level)
    above = np.flatnonzero(scores > threshold)
    group_ends = loud[np.flatnonzero(np.diff(loud, append=np.iinfo(np.int64).max) > settings.clear_count)]
    end_of = group_ends[np.searchsorted(group_ends, above)] if len(above) else above
    spans: list[tuple[int, int]] = []
    recent: list[int] = []
    calm_from = -1
    for segment, end in zip(above.tolist(), end_of.tolist(), strict=True):
        if segment < calm_from:
            continue
        recent = [other for other in recent if other > segment - settings.onset_window] + [segment]
        if len(recent) >= settings.onset_count:
            spans.append((segment, end))
            calm_from, recent = end + settings.clear_count + 1, []
    return np.array(spans, np.int64).reshape(-1, 2)


def bisected(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where a condition begins to hold between `low`, where it does not, and `high`, where it does."""
    for _ in range(50):
        middle = (low + high) / 2.0
        if holds(middle):
            high = middle
        else:
            low = middle
    return high
