"""Decision thresholds from the scores of normal sound alone (thesis 2.11), numpy only.

A base method gives a score that about one in ten normal sounds exceeds; multi-stage thresholding (MST) applies it again
to what lies below the first threshold's outliers. A daemon judges thousands of segments a day, so `alarm_threshold`
moves further out.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from edged.errors import EnrolmentError
from edged.flow import Float64Array

Method = Callable[[Float64Array], float]

BETA_SD = 1.28
BETA_MAD = 2.0
DELTA_MAD = 1.4826
BETA_IQR = 0.5
PERCENTILE = 90.0
MST_STAGES = 2
ALARM_SPREADS = 4.5
SMALL_SAMPLE = 4.0
MIN_SPREAD = 0.3


def gamma_percentile(scores: Float64Array, percentile: float = PERCENTILE) -> float:
    """GDP: percentile of a gamma distribution fitted by moments to the scores above their minimum.

    The quantile is Wilson and Hilferty's (1931), within 1 % for shapes above one half.
    """
    low = float(scores.min())
    shifted = scores - low
    mean, variance = float(shifted.mean()), float(shifted.var())
    if variance <= 0.0:
        return float(scores.max())
    shape = mean**2 / variance
    z = NormalDist().inv_cdf(percentile / 100.0)
    cube = 1.0 - 1.0 / (9.0 * shape) + z / (3.0 * np.sqrt(shape))
    return low + mean * max(float(cube), 0.0) ** 3


def histogram_percentile(scores: Float64Array, percentile: float = PERCENTILE) -> float:
    """HP: empirical percentile."""
    return float(np.percentile(scores, percentile))


def standard_deviation(scores: Float64Array, beta: float = BETA_SD) -> float:
    """SD (eq. 30): mean + beta std."""
    return float(scores.mean() + beta * scores.std())


def median_absolute_deviation(scores: Float64Array, beta: float = BETA_MAD) -> float:
    """MAD (eq. 32): median + 1.4826 beta median |score - median|."""
    median = np.median(scores)
    return float(median + DELTA_MAD * beta * np.median(np.abs(scores - median)))


def interquartile_range(scores: Float64Array, beta: float = BETA_IQR) -> float:
    """IQR (eq. 31): third quartile + beta times the quartiles' distance."""
    first, third = np.percentile(scores, [25.0, 75.0])
    return float(third + beta * (third - first))


METHODS: dict[str, Method] = {
    "gdp": gamma_percentile,
    "hp": histogram_percentile,
    "sd": standard_deviation,
    "mad": median_absolute_deviation,
    "iqr": interquartile_range,
}


def mst(scores: ArrayLike, method: str = "sd", n_stages: int = MST_STAGES) -> float:
    """Multi-stage thresholding: estimate, keep the scores up to the threshold, estimate again.

    Args:
        scores: (n,) of normal sound; those that are not finite are ignored.
        method: one of `METHODS`.
        n_stages: 1 is the method alone; two suffice (thesis 2.11).

    Raises:
        EnrolmentError: no scores or an unknown method.

    >>> mst([1.0, 1.0, 1.0, 1.0, 9.0], "hp", 1), mst([1.0, 1.0, 1.0, 1.0, 9.0], "hp")
    (5.800000000000001, 1.0)
    """
    if method not in METHODS:
        raise EnrolmentError(f"unknown threshold method '{method}'", fix=f"one of {', '.join(METHODS)}")
    return multi_stage(scores, METHODS[method], n_stages)


def multi_stage(scores: ArrayLike, method: Method, n_stages: int) -> float:
    """Estimate with any method, drop what lies above, estimate again: arguments and errors as of `mst`."""
    kept = _finite(scores)
    threshold = method(kept)
    for _ in range(n_stages - 1):
        kept = kept[kept <= threshold]
        if len(kept) == 0:
            break
        threshold = method(kept)
    return threshold


def alarm_threshold(scores: ArrayLike, *, spreads: float = ALARM_SPREADS) -> float:
    """The daemon's default: MST with the SD method, set far enough out that normal sound stays calm.

    An hour has some 1,400 segments, so one in ten above the threshold, as the thesis's evaluation takes it, would be an
    alarm a minute. The threshold lies `spreads` standard deviations above the mean, more when the scores are few and
    have not shown their tail yet: for n scores by the factor 1 + 4 / n. The deviation is never taken below
    `MIN_SPREAD`, in the units of the normalised score.

    Args:
        scores: (n,) leave-one-clip-out scores of the enrolled clips; NaN are ignored.
        spreads: how far out; 1.28 without the surcharge is MST-SD of the thesis.

    Raises:
        EnrolmentError: no finite scores.
    """
    known = _finite(scores)
    beta = spreads * (1.0 + SMALL_SAMPLE / len(known))
    return multi_stage(known, lambda kept: float(kept.mean() + beta * max(float(kept.std()), MIN_SPREAD)), MST_STAGES)


def _finite(scores: ArrayLike) -> Float64Array:
    values = np.asarray(scores, np.float64)
    known = values[np.isfinite(values)]
    if len(known) == 0:
        raise EnrolmentError("no normal scores to set a threshold from", fix="enrol at least two clips")
    return known
