"""What normal sound scores: the yardstick of severity, release and drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

MIN_SPREAD = 0.3
SMALL_SAMPLE = 4.0


@dataclass(frozen=True, slots=True)
class NormalScores:
    """The scores of enrolled sound, each judged without its own clip.

    Attributes:
        typical: their median.
        spread: their standard deviation, never below `MIN_SPREAD`, and for n scores, which have not shown all their
            variety yet, more by the factor 1 + 4 / n (as the alarm threshold has it).
    """

    typical: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, scores: ArrayLike) -> NormalScores:
        """Of leave-one-clip-out scores (n,); those that are not finite are ignored.

        Without any, the normalised score's own units stand.

        >>> NormalScores.of([1.0, float("nan"), 1.0, 1.0, 1.0])
        NormalScores(typical=1.0, spread=0.6)
        """
        values = np.asarray(scores, np.float64)
        known = values[np.isfinite(values)]
        if len(known) == 0:
            return cls()
        spread = max(float(known.std()), MIN_SPREAD) * (1.0 + SMALL_SAMPLE / len(known))
        return cls(float(np.median(known)), spread)
