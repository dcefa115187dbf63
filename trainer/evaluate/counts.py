"""Right and wrong decisions and the figures made of them (thesis 2.10.1, eqs. 13-22)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Counts:
    """Decisions about what is there to be found; a figure without a denominator is 0."""

    n_true_positive: int = 0
    n_false_positive: int = 0
    n_false_negative: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.n_true_positive + other.n_true_positive,
            self.n_false_positive + other.n_false_positive,
            self.n_false_negative + other.n_false_negative,
        )

    @property
    def precision(self) -> float:
        """Share of the findings that are right (eq. 21)."""
        return _share(self.n_true_positive, self.n_true_positive + self.n_false_positive)

    @property
    def recall(self) -> float:
        """Share of what there was that was found (eq. 22)."""
        return _share(self.n_true_positive, self.n_true_positive + self.n_false_negative)

    @property
    def f1(self) -> float:
        """Harmonic mean of both (eq. 20)."""
        n_findings = self.n_true_positive + self.n_false_positive
        return _share(2 * self.n_true_positive, n_findings + self.n_true_positive + self.n_false_negative)


def decided(normal: ArrayLike, anomalous: ArrayLike, threshold: float) -> Counts:
    """Decisions of a threshold; an anomaly is what scores *above* it (eqs. 13, 14).

    Raises:
        ValueError: a score is NaN, which would pass for normal.

    >>> decided([1.0, 2.0], [2.0, 3.0], 2.0)
    Counts(n_true_positive=1, n_false_positive=0, n_false_negative=1)
    """
    if np.isnan(np.r_[normal, anomalous]).any():
        raise ValueError("a score is NaN: nothing can be decided about it")
    is_alarm, is_hit = np.asarray(normal) > threshold, np.asarray(anomalous) > threshold
    return Counts(int(is_hit.sum()), int(is_alarm.sum()), int((~is_hit).sum()))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
