"""Area under the ROC curve from pairwise wins, and its bootstrap interval over clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edged.flow import Float64Array


@dataclass(frozen=True)
class Interval:
    """A figure with its bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.2f}-{self.high:.2f})"


def pairwise_wins(normal: ArrayLike, anomalous: ArrayLike) -> Float64Array:
    """1 where the anomalous clip scores higher, 0.5 on a tie: (n,), (m,) -> (n, m); its mean is the AUC.

    >>> pairwise_wins([1.0, 2.0], [2.0, 3.0]).mean()
    np.float64(0.875)
    """
    n, a = np.asarray(normal, np.float64)[:, np.newaxis], np.asarray(anomalous, np.float64)[np.newaxis, :]
    return np.asarray((a > n) + 0.5 * (a == n), np.float64)


def bootstrap_interval(wins: Float64Array, *, n_draws: int = 2000, seed: int = 0) -> Interval:
    """AUC with its 95 % percentile interval; normal and anomalous clips are drawn again separately.

    Args:
        wins: (n_normal, n_anomalous), see `pairwise_wins`; also averages over repeated draws, or differences of two
            systems' wins on the same clips.
    """
    rng = np.random.default_rng(seed)
    n, m = wins.shape
    rows = rng.integers(n, size=(n_draws, n))
    columns = rng.integers(m, size=(n_draws, m))
    values = [wins[np.ix_(row, column)].mean() for row, column in zip(rows, columns, strict=True)]
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(wins.mean()), float(low), float(high))
