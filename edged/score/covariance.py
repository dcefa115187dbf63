"""What covariance back ends share: means of domains, and Ledoit and Wolf's (2004) shrinkage towards a sphere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array
from edged.score.distances import TINY
from edged.score.references import References


def by_domain(references: References) -> tuple[Float64Array, Float64Array, NDArray[np.int64]]:
    """Vectors (n, dim), mean of every domain (n_domains, dim), and each row's domain number (n,)."""
    vectors, labels = np.asarray(references.vectors, np.float64), references.domain_numbers
    means = np.stack([vectors[labels == index].mean(axis=0) for index in range(labels.max() + 1)])
    return vectors, means, labels


def usual_variance(references: References) -> Float64Array:
    """Variance of every dimension within domains, or between them, or one: (dim,), never all zero."""
    vectors, means, labels = by_domain(references)
    for residuals in (vectors - means[labels], vectors - vectors.mean(axis=0)):
        variance = np.square(residuals).mean(axis=0)
        if variance.mean() > TINY:
            return np.asarray(variance)
    return np.ones(vectors.shape[1])


def ledoit_wolf(residuals: Float64Array) -> tuple[float, float]:
    """Shrinkage intensity 0 to 1 and average variance of centred rows (n, dim), through the (n, n) Gram matrix."""
    n, dim = residuals.shape
    gram = residuals @ residuals.T / n
    average = float(np.trace(gram)) / dim
    size = float(np.square(gram).sum()) / dim  # |S|^2 / dim
    spread = size - average**2
    if spread <= TINY * max(average**2, TINY):
        return 1.0, average
    noise = float(np.square(n * np.diag(gram)).sum()) / (n * n * dim) - size / n
    return float(np.clip(noise / spread, 0.0, 1.0)), average
