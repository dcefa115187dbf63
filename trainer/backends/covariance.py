"""Covariances that can always be inverted, and how to whiten with them."""

from __future__ import annotations

import numpy as np
from sklearn.covariance import ledoit_wolf_shrinkage

from edged.flow import Float64Array
from edged.score.distances import TINY


def whitening(covariance: Float64Array) -> tuple[Float64Array, float]:
    """W with W W' = covariance^-1, and the logarithm of the covariance's determinant: (dim, dim) -> (dim, dim), scalar.

    Eigenvalues that rounding made zero or negative count as the smallest that can be told from zero.
    """
    eigenvalues, directions = np.linalg.eigh(covariance)
    floor = max(np.finfo(np.float64).eps * len(eigenvalues) * float(eigenvalues[-1]), np.finfo(np.float64).tiny)
    eigenvalues = np.maximum(eigenvalues, floor)
    return directions / np.sqrt(eigenvalues), float(np.log(eigenvalues).sum())


def shrunk_covariance(vectors: Float64Array, means: Float64Array, *, otherwise: float = 1.0) -> Float64Array:
    """Covariance around the means, drawn towards a sphere as Ledoit and Wolf (2004) do: (n, dim) -> (dim, dim).

    It is drawn by at least 1 / n, for the estimated intensity is worthless for a handful of rows.

    Args:
        vectors: (n, dim).
        means: what each row scatters around, (n, dim) or (dim,).
        otherwise: variance of every dimension where the rows show none at all.
    """
    n, dim = vectors.shape
    residuals = vectors - means
    average = float(np.square(residuals).mean())
    if average <= TINY**2 * float(np.square(vectors).mean()):
        return otherwise * np.eye(dim)
    intensity = float(ledoit_wolf_shrinkage(residuals, assume_centered=True)) if n > 1 else 1.0
    intensity = max(intensity, 1.0 / n)
    shrunk: Float64Array = (1.0 - intensity) * (residuals.T @ residuals / n) + intensity * average * np.eye(dim)
    return shrunk
