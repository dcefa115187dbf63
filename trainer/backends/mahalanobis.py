"""Mahalanobis distance to the mean of the references, with a covariance shrunk towards a sphere (thesis 2.6).

One mean for all domains, unlike the shipped ``shrinkage``, which has one per domain and pools the covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edged.flow import Float64Array
from edged.score.references import References
from trainer.backends.checks import fits_covariance, rows
from trainer.backends.covariance import shrunk_covariance, whitening


@dataclass(frozen=True)
class MahalanobisBackend:
    """Fitted state: see `fit`.

    Attributes:
        mean: (dim,).
        whitening: (dim, dim), its product with its transpose is the inverse covariance.
        unit_length: vectors are scaled to length one first.
    """

    mean: Float64Array
    whitening: Float64Array
    unit_length: bool

    @classmethod
    def fit(cls, references: References, *, unit_length: bool = True) -> MahalanobisBackend:
        """Mean and shrunk covariance; without any spread the distance is the Euclidean one.

        Raises:
            ConfigError: too many dimensions.
        """
        dim = references.vectors.shape[1]
        fits_covariance(dim)
        x = rows(references.vectors, dim, unit_length=unit_length)
        mean = x.mean(axis=0)
        return cls(mean, whitening(shrunk_covariance(x, mean))[0], unit_length)

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """(n, dim) -> (n,), 0 or more."""
        residuals = rows(vectors, len(self.mean), unit_length=self.unit_length) - self.mean
        return np.asarray(np.linalg.norm(residuals @ self.whitening, axis=1))
