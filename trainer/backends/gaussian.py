"""A Gaussian with spherical, diagonal or full covariance (thesis 3.4.3, Table 6; 3.4.6 for statistics of the input).

The distance is minus the logarithm of the density, nothing left out: of unit vectors the spherical one orders as the
cosine distance to the mean does (Lemma 3.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edged.flow import Float64Array
from edged.score.references import References
from trainer.backends.checks import above_zero, fits_covariance, one_of, rows
from trainer.backends.covariance import whitening

COVARIANCES = ("spherical", "diagonal", "full")


@dataclass(frozen=True)
class GaussianBackend:
    """Fitted state: see `fit`.

    Attributes:
        mean: (dim,).
        whitening: (dim,) what residuals are multiplied with, or (dim, dim) for a full covariance.
        log_normaliser: minus the log-density at the mean.
        unit_length: vectors are scaled to length one first.
    """

    mean: Float64Array
    whitening: Float64Array
    log_normaliser: float
    unit_length: bool

    @classmethod
    def fit(
        cls, references: References, *, covariance: str = "full", reg_covar: float = 1e-3, unit_length: bool = True
    ) -> GaussianBackend:
        """Maximum likelihood, with `reg_covar` on the diagonal: one reference gives a sphere of that variance.

        Args:
            references: any domains.
            covariance: one of `COVARIANCES`.
            reg_covar: variance added to every dimension; made for vectors of length one.
            unit_length: as for embeddings (thesis 3.2.2); not for statistics, whose size says something.

        Raises:
            ConfigError: a parameter outside its range, or too many dimensions for a full covariance.
        """
        one_of("covariance", covariance, COVARIANCES)
        above_zero("reg_covar", reg_covar)
        x = rows(references.vectors, references.vectors.shape[1], unit_length=unit_length)
        mean = x.mean(axis=0)
        whitener, log_determinant = _whitening(x - mean, covariance, reg_covar)
        normaliser = 0.5 * (len(mean) * math.log(2.0 * math.pi) + log_determinant)
        return cls(mean, whitener, normaliser, unit_length)

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """Minus the natural logarithm of the density: (n, dim) -> (n,)."""
        residuals = rows(vectors, len(self.mean), unit_length=self.unit_length) - self.mean
        white = residuals * self.whitening if self.whitening.ndim == 1 else residuals @ self.whitening
        result: Float64Array = 0.5 * np.square(white).sum(axis=1) + self.log_normaliser
        return result


def _whitening(residuals: Float64Array, covariance: str, reg_covar: float) -> tuple[Float64Array, float]:
    """What residuals (n, dim) are multiplied with to become white, and the log-determinant of their covariance."""
    n, dim = residuals.shape
    if covariance == "full":
        fits_covariance(dim)
        return whitening(residuals.T @ residuals / n + reg_covar * np.eye(dim))
    variance = np.square(residuals).mean(axis=0) + reg_covar
    if covariance == "spherical":
        variance = np.full(dim, variance.mean())
    return 1.0 / np.sqrt(variance), float(np.log(variance).sum())
