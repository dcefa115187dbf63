"""F1-EV (thesis 4.3): the F1 score to expect of a threshold drawn at random from the range of plausible ones.

F1 is a step function of the threshold, constant from one score (included, as an anomaly scores *above* the threshold)
to the next, so that its sum over the steps is its exact integral.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from edged.flow import Float64Array

BETA = 0.2
"""Standard deviations by which the bounded score widens the range (4.3.2)."""


def f1_scores(normal: ArrayLike, anomalous: ArrayLike, thresholds: ArrayLike) -> Float64Array:
    """F1 (eq. 20) at many thresholds: (n,), (m,), (k,) -> (k,).

    Raises:
        ValueError: a side is empty or a score is not finite; so for all functions here.

    >>> f1_scores([1.0, 2.0], [3.0, 4.0], [1.0, 2.0])
    array([0.8, 1. ])
    """
    n, a = np.sort(np.asarray(normal, np.float64)), np.sort(np.asarray(anomalous, np.float64))
    if len(n) == 0 or len(a) == 0 or not np.isfinite(np.r_[n, a]).all():
        raise ValueError("F1 needs normal and anomalous scores, all finite")
    n_hits = len(a) - np.searchsorted(a, thresholds, side="right")
    n_alarms = len(n) - np.searchsorted(n, thresholds, side="right")
    return np.asarray(2.0 * n_hits / (n_hits + n_alarms + len(a)), np.float64)


def f1_ev(normal: ArrayLike, anomalous: ArrayLike) -> float:
    """Thresholds from the lowest to the highest score (eqs. 48, 49): (n,), (m,) -> [0, 1], higher is better.

    >>> f1_ev([0.0, 1.0], [9.0, 10.0])  # F1 is 0.8 over one tenth, 1 over eight and 2/3 over the last
    0.9466666666666667
    """
    return _expected(normal, anomalous, np.sort(np.r_[normal, anomalous]))


def bounded_f1_ev(normal: ArrayLike, anomalous: ArrayLike, beta: float = BETA) -> float:
    """Thresholds from about the mean normal score to about the optimum (eqs. 50 to 53).

    Mean and standard deviation are those of the *normal* scores, as in the text above eq. 50 and in the paper. Where
    the optimum lies below that range, only its lower end is left to choose.

    Args:
        normal: (n,) anomaly scores of normal sound.
        anomalous: (m,) those of anomalies.
        beta: widens the range, in standard deviations.
    """
    optimum, known = optimal_threshold(normal, anomalous), np.asarray(normal, np.float64)
    margin = beta * float(known.std())
    low, high = float(known.mean()) - margin, optimum + margin
    scores = np.sort(np.r_[known, anomalous])
    inside = scores[(scores > low) & (scores < high)]
    return _expected(normal, anomalous, np.r_[low, inside, max(low, high)])


def optimal_threshold(normal: ArrayLike, anomalous: ArrayLike) -> float:
    """Centre of all thresholds with the highest F1, between the first and the last of them.

    >>> optimal_threshold([0.0, 1.0], [9.0, 10.0])
    5.0
    """
    steps = np.unique(np.r_[normal, anomalous])
    values = f1_scores(normal, anomalous, steps)
    (best,) = np.nonzero(values == values.max())
    return float(steps[best[0]] + steps[min(best[-1] + 1, len(steps) - 1)]) / 2.0


def _expected(normal: ArrayLike, anomalous: ArrayLike, edges: Float64Array) -> float:
    """Mean F1 over the range of `edges`, ascending; without a range, F1 at the one threshold there is."""
    values = f1_scores(normal, anomalous, edges)
    width = float(edges[-1] - edges[0])
    return float(values[:-1] @ np.diff(edges) / width) if width > 0.0 else float(values[0])
