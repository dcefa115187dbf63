"""False alarms per hour of a keyword's limit, and the limit for so many an hour, from what came near without being it.

The nearness of an event is minus the logarithm of its distance. How often events come nearer than any that was heard
is foreseen as for machines: by the tail of the nearest ones, its uncertainty included (`edged/decide/tail.py`). Every
word is judged by itself, so another word changes nothing; the words' false alarms add up.

Matches may have been the word, so they are no evidence that the tail is heavy; a tail that foresees more of them than
there were is refuted. What was never heard in any form is not foreseen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edged.decide.budget import bisected
from edged.decide.near_misses import FARTHEST, NearMisses
from edged.decide.tail import HeardTime, Tail, fit_tail, gamma_quantile
from edged.flow import Float64Array

CONFIDENCE = 0.9
SHAPE_PRIOR = (-0.1, 0.06)
"""Mean and spread over words of the tail's shape, measured on speech of other kinds than the bundle's: distances have
an end, at the sounds that all speech shares, so their tails are a little lighter than exponential."""
TAIL_EVENTS = 96
"""Events that the tail is fitted to: fewer say too little of its shape, more lie too far from any match."""
CEILING_MARGIN = 1.15
"""By how much farther the tail begins than matches do: the slope of a narrower strip says nothing of what lies nearer.
"""
LEAST_EVENTS = 12
LEAST_EXPECTED = 1.0 / 12.0
"""False alarms that the budget must grant within the heard time: ten minutes for one in two hours."""
LEAST_PARTS = 6
"""Fewer numbers have no variance to speak of."""
NEAREST = 0.05
"""No limit is stricter than this distance: rounding of the embeddings lies below it."""


@dataclass(frozen=True)
class HourlyRate:
    """False alarms per hour to be expected.

    Attributes:
        per_hour: the middle of what is likely.
        low_per_hour: with `high_per_hour` the band that holds the true rate with the stated confidence.
        heard_h: hours this rests on.
    """

    per_hour: float
    low_per_hour: float
    high_per_hour: float
    heard_h: float


class WordTail:
    """How often one word is come near to.

    Args:
        parts: of what was heard; hours without any event count as well.
    """

    def __init__(self, parts: Sequence[NearMisses]) -> None:
        self._parts = [part for part in parts if part.hours > 0.0]
        self.heard_h = float(sum(part.hours for part in self._parts))
        self._complete = min((part.complete_below for part in self._parts), default=FARTHEST)
        kept = [part.distances[part.distances < self._complete] for part in self._parts]
        self._distances = np.sort(np.concatenate([*kept, np.zeros(0)]))

    @property
    def is_enough(self) -> bool:
        """Whether there are events enough to tell their tail."""
        return len(self._distances) >= LEAST_EVENTS

    def needed_h(self, per_hour: float) -> float:
        """Hours that are missing for a budget; 0: none."""
        wanted_h = LEAST_EXPECTED / per_hour
        if not self.is_enough:
            wanted_h = max(wanted_h, self.heard_h * LEAST_EVENTS / max(len(self._distances), 1), 0.1)
        return max(0.0, wanted_h - self.heard_h)

    def rate(self, limit: float, confidence: float = CONFIDENCE) -> HourlyRate:
        """The rate at a limit with its band; unbounded above while nothing was heard."""
        if not self.heard_h:
            return HourlyRate(math.nan, 0.0, math.inf, 0.0)
        low, middle, high = self._rates(limit, ((1.0 - confidence) / 2.0, 0.5, (1.0 + confidence) / 2.0)).tolist()
        return HourlyRate(middle, low, high, self.heard_h)

    def limit(self, per_hour: float, confidence: float = CONFIDENCE) -> float:
        """The loosest limit whose rate is at most the budget's with this confidence."""

        def keeps(nearness: float) -> bool:
            if nearness > self._tail.base_level:
                return self._tail.confidence_within(nearness, per_hour) >= confidence
            return bool(self._counted(math.exp(-nearness), (confidence,))[0] <= per_hour)

        loosest, strictest = -math.log(self._complete), -math.log(NEAREST)
        if keeps(loosest):
            return self._complete
        return math.exp(-bisected(keeps, loosest, strictest))

    @cached_property
    def _tail(self) -> Tail:
        level = self._complete
        if len(self._distances) > TAIL_EVENTS:
            widest = CEILING_MARGIN * max(part.limit for part in self._parts)
            level = min(max(float(self._distances[TAIL_EVENTS]), widest), self._complete)
        base = -math.log(level)
        peaks = -np.log(np.maximum(self._distances[self._distances < level], 1e-6))
        ceilings = np.array([-math.log(part.limit) if part.limit > 0.0 else math.inf for part in self._parts])
        hours = np.array([part.hours for part in self._parts])
        matches = sum(part.matches for part in self._parts)
        return fit_tail(
            peaks, base, HeardTime(hours, np.maximum(ceilings, base), matches), self._dispersion(level), SHAPE_PRIOR
        )

    def _dispersion(self, level: float) -> float:
        """Variance over mean of the events' number in parts of one length: above 1 where they come in bouts."""
        full = [part for part in self._parts if part.hours > 0.5 * max(p.hours for p in self._parts)]
        if len(full) < LEAST_PARTS:
            return 1.0
        counts = np.array([np.count_nonzero(part.distances < level) for part in full], dtype=np.float64)
        return max(1.0, float(counts.var(ddof=1) / max(counts.mean(), 1e-9)))

    def _rates(self, limit: float, probabilities: Sequence[float]) -> Float64Array:
        nearness = -math.log(max(limit, NEAREST))
        if nearness > self._tail.base_level:
            return self._tail.rate_quantiles(nearness, probabilities)
        return self._counted(limit, probabilities)

    def _counted(self, limit: float, probabilities: Sequence[float]) -> Float64Array:
        count = int(np.searchsorted(self._distances, limit)) + sum(p.matches for p in self._parts if p.limit < limit)
        dispersion = self._dispersion(limit)
        quantiles = [gamma_quantile(count / dispersion + 0.5, p) for p in probabilities]
        return np.array(quantiles) * dispersion / self.heard_h
