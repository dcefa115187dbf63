"""Decision thresholds from the scores of normal sound alone (thesis 2.11), numpy only.

A base method gives a score that about one in ten normal sounds exceeds; multi-stage thresholding (MST) applies it again
to what lies below the first threshold's outliers. A daemon judges thousands of segments a day, so `alarm_threshold`
moves further out. GESD and OCSVM need Student's t and a solver: they stay in `trainer.evaluate.thresholds`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
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
_QUARTILE = NormalDist().inv_cdf(0.75)


def gamma_percentile(scores: Float64Array, percentile: float = PERCENTILE) -> float:
    """GDP: percentile of a gamma distribution fitted by moments to the scores above their minimum."""
    low = float(scores.min())
    shifted = scores - low
    mean, variance = float(shifted.mean()), float(shifted.var())
    if variance <= 0.0:
        return float(scores.max())
    shape = mean**2 / variance
    return low + mean / shape * _gamma_quantile(shape, percentile / 100.0)


def _gamma_quantile(shape: float, probability: float) -> float:
    """Of a gamma distribution of scale 1; above shape 20 Wilson and Hilferty's (1931), within a thousandth."""
    if shape > 20.0:
        z = NormalDist().inv_cdf(probability)
        return shape * (1.0 - 1.0 / (9.0 * shape) + z / (3.0 * math.sqrt(shape))) ** 3
    low, high = 0.0, 4.0 * shape + 60.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _gamma_share_below(middle, shape) < probability else (low, middle)
    return high


def _gamma_share_below(x: float, shape: float) -> float:
    """The regularised incomplete gamma function by its series; x > 0."""
    term = total = math.exp(shape * math.log(x) - x - math.lgamma(shape + 1.0))
    n = 0
    while term > 1e-15 * total:
        n += 1
        term *= x / (shape + n)
        total += term
    return total


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


def alarm_threshold(scores: ArrayLike, *, spreads: float = ALARM_SPREADS, method: str = "mst-sd") -> float:
    """A threshold set far enough out that normal sound stays calm; the daemon's default is MST with the SD method.

    An hour has some 1,400 segments, so one in ten above the threshold, as the thesis's evaluation takes it, would be an
    alarm a minute. The threshold lies `spreads` standard deviations above the mean, more when the scores are few and
    have not shown their tail yet: for n scores by the factor 1 + 4 / n. The deviation is never taken below
    `MIN_SPREAD`, in the units of the normalised score. Other methods go to where this one would if the scores were
    normally distributed; those that only rank the scores (hp, cleversd) can go no further than the highest.

    Args:
        scores: (n,) leave-one-clip-out scores of the enrolled clips; NaN are ignored.
        spreads: how far out; 1.28 without the surcharge is MST-SD of the thesis.
        method: one of `ALARM_METHODS`.

    Raises:
        EnrolmentError: no finite scores, or an unknown method.
    """
    known = _finite(scores)
    if method not in ALARM_METHODS:
        raise EnrolmentError(f"unknown threshold method '{method}'", fix=f"one of {', '.join(ALARM_METHODS)}")
    beta = spreads * (1.0 + SMALL_SAMPLE / len(known))
    far_out = partial(_FAR_OUT[method.removeprefix("mst-")], beta=beta)
    threshold = multi_stage(known, far_out, MST_STAGES if method.startswith("mst-") else 1)
    return max(threshold, float(np.median(known)) + beta * MIN_SPREAD)


def _far_sd(kept: Float64Array, beta: float) -> float:
    return float(kept.mean() + beta * max(float(kept.std()), MIN_SPREAD))


def _far_iqr(kept: Float64Array, beta: float) -> float:
    return interquartile_range(kept, max((beta / _QUARTILE - 1.0) / 2.0, 0.0))


def _far_gdp(kept: Float64Array, beta: float) -> float:
    return gamma_percentile(kept, _percent(beta))


def _far_hp(kept: Float64Array, beta: float) -> float:
    return histogram_percentile(kept, _percent(beta))


def _far_cleversd(kept: Float64Array, beta: float) -> float:
    """CleverSD: SD on the highest score, again and again; the last one removed, or the highest if none is."""
    rising = np.sort(kept)
    n_removed = 0
    while len(rising) > n_removed + 1:
        rest = rising[: len(rising) - n_removed]
        if rest[-1] <= standard_deviation(rest, beta):
            break
        n_removed += 1
    return float(rising[-max(n_removed, 1)])


def _percent(beta: float) -> float:
    """Share of normally distributed scores below so many spreads; above 1 - 1e-15 the next is exactly 1."""
    return 100.0 * min(NormalDist().cdf(beta), 1.0 - 1e-15)


_FAR_OUT: dict[str, Callable[..., float]] = {
    "sd": _far_sd,
    "mad": median_absolute_deviation,
    "iqr": _far_iqr,
    "gdp": _far_gdp,
    "hp": _far_hp,
    "cleversd": _far_cleversd,
}
ALARM_METHODS = (*(f"mst-{name}" for name in METHODS), *METHODS, "cleversd")


def _finite(scores: ArrayLike) -> Float64Array:
    values = np.asarray(scores, np.float64)
    known = values[np.isfinite(values)]
    if len(known) == 0:
        raise EnrolmentError("no normal scores to set a threshold from", fix="enrol at least two clips")
    return known
