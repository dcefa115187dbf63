"""Expectation-maximisation of Gaussian components with full covariances, for few rows in many dimensions.

Rows are given by their coordinates in the span of all rows and by what lies outside of it. Every covariance is drawn
towards a common one, which counts as `Prior.rows` rows, and then towards a sphere (Ledoit and Wolf 2004):

    S = (N S_own + rows S_common) / (N + rows)        S' = (1 - shrinkage) S + shrinkage average(S) I
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array
from edged.score.distances import TINY

_CONVERGED = 1e-4
_FLOOR = 1e-9


@dataclass(frozen=True)
class Points:
    """Rows in the span of all rows.

    Attributes:
        coordinates: (n, rank).
        outside: (n,) squared length of what lies outside of the span.
        dim: of the whole space.
    """

    coordinates: Float64Array
    outside: Float64Array
    dim: int

    def select(self, rows: NDArray[np.bool_]) -> Points:
        """The chosen rows."""
        return Points(self.coordinates[rows], self.outside[rows], self.dim)


@dataclass(frozen=True)
class Prior:
    """What the covariances are drawn towards.

    Attributes:
        covariance: (rank, rank), common to all components.
        outside: variance outside of the span, summed over its dimensions.
        rows: how many rows it counts as.
        shrinkage: 0 to 1, towards a sphere.
    """

    covariance: Float64Array
    outside: float
    rows: float
    shrinkage: float


@dataclass(frozen=True)
class Components:
    """Gaussian components.

    Attributes:
        log_weights: (n_components,).
        means: (n_components, rank).
        whiteners: (n_components, rank, rank); residuals times these are white.
        base: (n_components,) variance of every dimension outside of the span.
        half_log_determinants: (n_components,) minus the log-density at the mean, but for a constant.
    """

    log_weights: Float64Array
    means: Float64Array
    whiteners: Float64Array
    base: Float64Array
    half_log_determinants: Float64Array

    def log_densities(self, points: Points) -> Float64Array:
        """Log-density of every component times its weight, but for a constant: (n, n_components)."""
        white = [(points.coordinates - mean) @ w for mean, w in zip(self.means, self.whiteners, strict=True)]
        inside = np.stack([np.square(x).sum(axis=1) for x in white], axis=1)
        outside = points.outside[:, np.newaxis] / self.base
        return np.asarray(self.log_weights - self.half_log_determinants - 0.5 * (inside + outside))


def expectation_maximisation(
    points: Points, labels: NDArray[np.int64], prior: Prior, n_iterations: int = 20
) -> Components:
    """Components that start as the given clusters.

    Args:
        points: n rows.
        labels: (n,) cluster of every row, from 0 without holes.
        prior: of the covariances.
        n_iterations: at most; it ends when the mean log-density stands still.
    """
    shares = np.eye(labels.max() + 1)[labels]  # (n, n_components)
    components = _maximised(points, shares, prior)
    before = -np.inf
    for _ in range(n_iterations if shares.shape[1] > 1 else 0):
        log_densities = components.log_densities(points)
        total = log_sum_exp(log_densities)
        if abs(float(total.mean()) - before) < _CONVERGED:
            break
        before = float(total.mean())
        components = _maximised(points, np.exp(log_densities - total[:, np.newaxis]), prior)
    return components


def log_sum_exp(values: Float64Array) -> Float64Array:
    """Log of the sum of exponentials over columns: (n, m) -> (n,)."""
    top = values.max(axis=1, keepdims=True)
    return np.asarray(top[:, 0] + np.log(np.exp(values - top).sum(axis=1)))


def _maximised(points: Points, shares: Float64Array, prior: Prior) -> Components:
    """Weights, means and covariances for the rows' shares in the components."""
    sizes = np.maximum(shares.sum(axis=0), TINY)
    means = shares.T @ points.coordinates / sizes[:, np.newaxis]
    fitted = [_covariance(points, mean, share, prior) for mean, share in zip(means, shares.T, strict=True)]
    whiteners, base, half_log_determinants = zip(*fitted, strict=True)
    log_weights = np.log(sizes / len(shares))
    return Components(log_weights, means, np.stack(whiteners), np.array(base), np.array(half_log_determinants))


def _covariance(
    points: Points, mean: Float64Array, share: Float64Array, prior: Prior
) -> tuple[Float64Array, float, float]:
    """Whitener, variance outside of the span, and half the log-determinant of one component."""
    dim, rank = points.dim, len(mean)
    residuals = points.coordinates - mean
    n_rows = float(share.sum()) + prior.rows
    covariance = ((residuals.T * share) @ residuals + prior.rows * prior.covariance) / n_rows
    outside = (float(share @ points.outside) + prior.rows * prior.outside) / n_rows
    average = (float(np.trace(covariance)) + outside) / dim
    sphere = max(prior.shrinkage, _FLOOR) * average
    variances, directions = np.linalg.eigh((1.0 - prior.shrinkage) * covariance)
    variances = np.maximum(variances, 0.0) + sphere
    base = sphere + (1.0 - prior.shrinkage) * outside / max(dim - rank, 1)
    half_log_determinant = 0.5 * (float(np.log(variances).sum()) + (dim - rank) * float(np.log(base)))
    return directions / np.sqrt(variances), base, half_log_determinant
