"""Mahalanobis distance with a covariance shrunk towards a sphere (Ledoit and Wolf 2004): many dimensions, few clips.

Every domain has its own mean; the covariance of the residuals is pooled over domains, the distance is the smallest over
domains. With fewer rows than dimensions the covariance is kept as a few directions and one common variance:

    S = base I + V' diag(extra) V        S^-1 by Woodbury, never formed
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edged.flow import Float32Array, Float64Array
from edged.score.backend import Arrays, leave_clips_out, stored
from edged.score.covariance import by_domain, ledoit_wolf, usual_variance
from edged.score.distances import TINY, euclidean
from edged.score.references import References


@dataclass(frozen=True)
class ShrinkageBackend:
    """Fitted state: see `fit`.

    Attributes:
        scale: (dim,) every dimension is divided by it first.
        means: (n_domains, dim), scaled.
        directions: (rank, dim) orthonormal rows.
        extra: (rank,) variance along them beyond `base`.
        base: (1,) variance in every other direction.
        members: (n_references, dim) scaled, to name the nearest clip.
        left_out: (n_references,) leave-clip-out distances.
    """

    scale: Float64Array
    means: Float64Array
    directions: Float64Array
    extra: Float64Array
    base: Float64Array
    members: Float64Array
    left_out: Float64Array

    @classmethod
    def fit(cls, references: References, *, standardise: bool = False) -> ShrinkageBackend:
        """Means, shrunk pooled covariance and leave-clip-out distances.

        Args:
            references: any domains; a domain of one clip counts by its mean only.
            standardise: divide each dimension by its spread first, drawn halfway to the average one because few rows
                know it badly.
        """
        variance = usual_variance(references)
        fitted = _fit(references, standardise, variance)
        return cls(**fitted, left_out=_leave_clip_out(references, standardise, variance))

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """Smallest Mahalanobis distance to a domain's mean, per root of dimension: (n, dim) -> (n,)."""
        x = np.asarray(vectors, np.float64) / self.scale
        squared = [self._squared(x - mean) for mean in self.means]
        result: Float64Array = np.sqrt(np.min(squared, axis=0) / self.means.shape[1])
        return result

    def nearest(self, vectors: ArrayLike) -> NDArray[np.int64]:
        """Row of the reference closest in the scaled space: (n, dim) -> (n,)."""
        x = np.asarray(vectors, np.float64) / self.scale
        return np.asarray(euclidean(x, self.members).argmin(axis=1), np.int64)

    def leave_clip_out(self) -> Float64Array:
        """(n_references,): distance with the row's own clip left out of means and covariance; NaN without others."""
        return self.left_out

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """All attributes."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> ShrinkageBackend:
        """Restore what `to_arrays` gave."""
        ranks = {"scale": 1, "means": 2, "directions": 2, "extra": 1, "base": 1, "members": 2, "left_out": 1}
        return cls(**{key: np.asarray(stored(arrays, key, rank), np.float64) for key, rank in ranks.items()})

    def _squared(self, residuals: Float64Array) -> Float64Array:
        """X' S^-1 x of every row, by Woodbury."""
        along = residuals @ self.directions.T  # (n, rank)
        saved = np.square(along) @ (self.extra / (self.base[0] + self.extra)) / self.base[0]
        result: Float64Array = np.maximum(np.square(residuals).sum(axis=1) / self.base[0] - saved, 0.0)
        return result


def _fit(references: References, standardise: bool, prior: Float64Array) -> dict[str, Float64Array]:
    """Means and shrunk covariance; `prior` (dim,) is the variance taken where the rows themselves show none."""
    vectors, means, labels = by_domain(references)
    residuals = vectors - means[labels]
    variance = np.square(residuals).mean(axis=0)
    known = variance.mean() > TINY * prior.mean()
    variance = variance if known else prior
    scale = np.sqrt(0.5 * variance + 0.5 * variance.mean()) if standardise else np.ones(vectors.shape[1])
    shrinkage, average = ledoit_wolf(residuals / scale) if known else (1.0, float((variance / scale**2).mean()))
    shrinkage = max(shrinkage, 1.0 / len(vectors))  # the estimate itself is worthless for a handful of rows
    _, singular, directions = np.linalg.svd(residuals / scale / np.sqrt(len(vectors)), full_matrices=False)
    return {
        "scale": scale,
        "means": means / scale,
        "directions": directions,
        "extra": (1.0 - shrinkage) * np.square(singular),
        "base": np.array([average * shrinkage]),
        "members": vectors / scale,
    }


def _leave_clip_out(references: References, standardise: bool, prior: Float64Array) -> Float64Array:
    """Every clip scored by a fit without it."""
    nothing = np.empty(0)

    def without(others: References, vectors: Float32Array) -> Float64Array:
        return ShrinkageBackend(**_fit(others, standardise, prior), left_out=nothing).distance(vectors)

    return leave_clips_out(references, without)
