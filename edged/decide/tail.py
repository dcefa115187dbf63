"""How often clusters of false alarms come at a level that was never heard: peaks over threshold, with all uncertainty.

Above a base level, clusters come at some rate and their peaks exceed it by a generalised Pareto amount (Pickands 1975;
Davison and Smith 1990). Rate, scale and shape are not estimated but weighted: every pair of scale and shape on a grid
counts by its likelihood times a prior, the rate is integrated out. So an interval holds the parameters' uncertainty
too, for a handful of peaks as for hundreds, and nothing has to converge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edged.flow import Float64Array

SHAPE_PRIOR = (0.05, 0.15)
"""Mean and spread: scores of machines fall off nearly exponentially; much heavier or bounded tails need evidence."""
_SHAPES = np.linspace(-0.45, 0.65, 45)
_SCALE_SPAN = 6.0
_N_SCALES = 61
_N_RATES = 25


@dataclass(frozen=True)
class HeardTime:
    """What the peaks were drawn from.

    Attributes:
        hours: (n_parts,) length of the parts of the heard time.
        ceilings: (n_parts,) level above which clusters were left out of each part; inf: none were.
        left_out: how many were left out in all, false ones and true: the tail may foresee no more.
    """

    hours: Float64Array
    ceilings: Float64Array
    left_out: int = 0


@dataclass(frozen=True)
class Tail:
    """What is known of the rate above a base level.

    Attributes:
        base_level: level above which the tail holds.
        shapes: (n,) of the generalised Pareto tails.
        scales: (n,), in units of the score.
        rates_per_h: (n, m) rates of clusters above the base level for each pair of shape and scale.
        weights: (n, m) of all of these, summing to 1.
    """

    base_level: float
    shapes: Float64Array
    scales: Float64Array
    rates_per_h: Float64Array
    weights: Float64Array

    def confidence_within(self, level: float, rate_per_h: float) -> float:
        """Probability that clusters above a level come at most at this rate."""
        return float(self.weights[self._rates_at(level) <= rate_per_h].sum())

    def rate_quantiles(self, level: float, probabilities: Sequence[float]) -> Float64Array:
        """Quantiles of the rate above a level, per hour."""
        rates = self._rates_at(level).ravel()
        order = np.argsort(rates)
        mass = np.cumsum(self.weights.ravel()[order])
        places = np.minimum(np.searchsorted(mass, probabilities), len(mass) - 1)
        return np.asarray(rates[order][places])

    def _rates_at(self, level: float) -> Float64Array:
        survival = _survival(max(level - self.base_level, 0.0), self.shapes, self.scales)
        return np.asarray(self.rates_per_h * survival[:, np.newaxis])


def fit_tail(
    peaks: Float64Array,
    base_level: float,
    heard: HeardTime,
    dispersion: float = 1.0,
    shape_prior: tuple[float, float] = SHAPE_PRIOR,
) -> Tail:
    """Weigh all tails by what was heard.

    Clusters above a ceiling may have been true alarms, so they are no evidence that the tail is heavy; but a tail that
    foresees more of them than there were is refuted. Clusters below it count by what a tail shows there.

    Args:
        peaks: (n,) highest level of each cluster, above the base level.
        base_level: at most any ceiling.
        dispersion: variance of the number of clusters over that of independent ones; 1 or more.
        shape_prior: mean and spread of the shape where nothing is known but the kind of score.
    """
    excesses, count = peaks - base_level, len(peaks) / dispersion
    mean = max(float(excesses.mean()), 1e-9) if len(excesses) else 1.0
    shapes, scales = (grid.ravel() for grid in np.meshgrid(_SHAPES, _scale_grid(mean), indexing="ij"))
    seen_h, unseen_h = _exposure_h(shapes, scales, heard, base_level)
    log_weights = _log_density(excesses, shapes, scales) / dispersion - (count + 0.5) * np.log(seen_h)
    log_weights += _log_prior(shapes, shape_prior)
    kept = log_weights > log_weights.max() - 14.0
    counts = np.array([gamma_quantile(count + 0.5, (i + 0.5) / _N_RATES) for i in range(_N_RATES)]) * dispersion
    rates = counts / seen_h[kept, np.newaxis]
    weights = np.exp(log_weights[kept] - log_weights.max())[:, np.newaxis] * np.ones(_N_RATES)
    weights *= _at_most(heard.left_out / dispersion, rates * unseen_h[kept, np.newaxis] / dispersion)
    return Tail(base_level, shapes[kept], scales[kept], rates, weights / weights.sum())


@lru_cache(maxsize=4096)
def gamma_quantile(shape: float, probability: float) -> float:
    """Quantile of a gamma distribution of scale 1: the rate of events, n - 1/2 of which were seen (Jeffreys)."""
    low, high = 0.0, shape + 10.0 * math.sqrt(shape) + 20.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if _gamma_cdf(shape, middle) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def _gamma_cdf(shape: float, value: float) -> float:
    """Regularised lower incomplete gamma function, by its series."""
    if value <= 0.0:
        return 0.0
    term = math.exp(shape * math.log(value) - value - math.lgamma(shape + 1.0))
    total, denominator = term, shape
    while term > total * 1e-12:
        denominator += 1.0
        term *= value / denominator
        total += term
    return min(total, 1.0)


def _scale_grid(mean_excess: float) -> Float64Array:
    return mean_excess * np.geomspace(1.0 / _SCALE_SPAN, _SCALE_SPAN, _N_SCALES)


def _log_prior(shapes: Float64Array, prior: tuple[float, float]) -> Float64Array:
    centre, spread = prior
    return np.asarray(-0.5 * ((shapes - centre) / spread) ** 2)


def _survival(excess: float | Float64Array, shapes: Float64Array, scales: Float64Array) -> Float64Array:
    """Share of clusters that go further, for each pair; 0 beyond the end of a bounded tail."""
    safe = np.where(np.abs(shapes) < 1e-6, 1e-6, shapes)
    reach = np.maximum(1.0 + safe * excess / scales, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(reach > 0.0, reach ** (-1.0 / safe), 0.0))


def _log_density(excesses: Float64Array, shapes: Float64Array, scales: Float64Array) -> Float64Array:
    """Log-likelihood of all peaks for each pair."""
    safe = np.where(np.abs(shapes) < 1e-6, 1e-6, shapes)
    reach = 1.0 + safe * excesses[:, np.newaxis] / scales
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.where(reach > 0.0, -np.log(scales) - (1.0 + 1.0 / safe) * np.log(reach), -np.inf)
    return np.asarray(logs.sum(axis=0))


def _exposure_h(
    shapes: Float64Array, scales: Float64Array, heard: HeardTime, base_level: float
) -> tuple[Float64Array, Float64Array]:
    """For each pair, the hours that show its clusters, and those that would show them but for the ceilings."""
    total_h = np.full(len(shapes), float(heard.hours.sum()))
    unseen_h = np.zeros(len(shapes))
    for ceiling in np.unique(heard.ceilings[np.isfinite(heard.ceilings)]):
        hours = float(heard.hours[heard.ceilings == ceiling].sum())
        unseen_h += hours * _survival(float(ceiling) - base_level, shapes, scales)
    return np.maximum(total_h - unseen_h, 1e-9), unseen_h


def _at_most(count: float, expected: Float64Array) -> Float64Array:
    """Probability of at most so many events where so many are expected (Poisson, by the gamma distribution's tail)."""
    probabilities = np.linspace(0.0, 1.0, 201)[1:-1]
    quantiles = np.array([gamma_quantile(count + 1.0, p) for p in probabilities])
    above = np.interp(expected, quantiles, probabilities, left=0.0, right=1.0 - 1e-9)
    return np.asarray(1.0 - above)
