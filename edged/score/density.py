"""Distance to the nearest reference, relative to how dense the references are there.

The distance to reference y is divided by the mean distance of y to its K nearest references of other clips, then the
minimum over y is taken. It removes the mismatch between a dense source and a sparse target domain, costs nothing at run
time and is computed at enrolment. A known failure is the isolated reference, whose wide neighbourhood makes everything
look near: neighbourhoods are therefore limited to `max_ratio` times the median one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edged.errors import EnrolmentError
from edged.flow import Float64Array
from edged.score.backend import Arrays, clip_folds, stored
from edged.score.distances import METRICS, TINY, without_own_clip
from edged.score.references import References

_METRIC_CODES = {"euclidean": 0, "cosine": 1}


@dataclass(frozen=True)
class DensityBackend:
    """Fitted state: see `fit`.

    Attributes:
        metric: ``euclidean`` (raw statistics) or ``cosine`` (learned embeddings).
        members: (n_references, dim).
        radius: (n_references,) mean distance to the neighbours, limited; what a distance is divided by.
        left_out: (n_references,) leave-clip-out distances.
    """

    metric: str
    members: Float64Array
    radius: Float64Array
    left_out: Float64Array

    @classmethod
    def fit(
        cls,
        references: References,
        *,
        metric: str = "euclidean",
        n_neighbours: int = 1,
        max_ratio: float = 2.0,
    ) -> DensityBackend:
        """Local densities of the references.

        Args:
            references: any domains.
            metric: ``euclidean`` or ``cosine``.
            n_neighbours: K; fewer where fewer other clips exist.
            max_ratio: a neighbourhood is at most this many times, and at least one over this of, the median one.

        Raises:
            EnrolmentError: unknown metric or n_neighbours < 1.
        """
        if metric not in METRICS or n_neighbours < 1 or max_ratio < 1.0:
            raise EnrolmentError(f"no density back end with metric '{metric}', K = {n_neighbours}, ratio {max_ratio}")
        members = np.asarray(references.vectors, np.float64)
        others = without_own_clip(METRICS[metric](members, members), references.same_clip())
        radius = _bounded(_mean_nearest(others, n_neighbours), max_ratio)
        return cls(metric, members, radius, _leave_clip_out(others, references.clips, n_neighbours, max_ratio))

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """Smallest relative distance: (n, dim) -> (n,); about 1 for what is as near as references are to each other."""
        result: Float64Array = self._relative(vectors).min(axis=1)
        return result

    def nearest(self, vectors: ArrayLike) -> NDArray[np.int64]:
        """Row of the reference with the smallest relative distance: (n, dim) -> (n,)."""
        return np.asarray(self._relative(vectors).argmin(axis=1), np.int64)

    def leave_clip_out(self) -> Float64Array:
        """(n_references,): distance with the row's own clip left out of everything; NaN without other clips."""
        return self.left_out

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Members, radii and leave-clip-out distances; the metric as a number."""
        code = np.array([_METRIC_CODES[self.metric]], np.int64)
        return {"metric": code, "members": self.members, "radius": self.radius, "left_out": self.left_out}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> DensityBackend:
        """Restore what `to_arrays` gave."""
        names = {code: name for name, code in _METRIC_CODES.items()}
        metric = names.get(int(stored(arrays, "metric", 1)[0]), "euclidean")
        members = np.asarray(stored(arrays, "members", 2), np.float64)
        radius, left_out = (np.asarray(stored(arrays, key, 1), np.float64) for key in ("radius", "left_out"))
        return cls(metric, members, radius, left_out)

    def _relative(self, vectors: ArrayLike) -> Float64Array:
        return METRICS[self.metric](vectors, self.members) / self.radius


def _mean_nearest(others: Float64Array, n_neighbours: int) -> Float64Array:
    """Mean of the K smallest finite distances of every row; NaN where there is none: (n, m) -> (n,)."""
    n_nearest = min(n_neighbours, others.shape[1])
    smallest = np.partition(others, n_nearest - 1, axis=1)[:, :n_nearest]
    finite = np.isfinite(smallest)
    count = finite.sum(axis=1)
    total = np.where(finite, smallest, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _bounded(radius: Float64Array, max_ratio: float) -> Float64Array:
    """Radii limited to the median's neighbourhood; 1 everywhere when no row has a neighbour."""
    known = radius[np.isfinite(radius)]
    middle = float(np.median(known)) if len(known) else 1.0
    middle = middle if middle > TINY else 1.0
    return np.clip(np.where(np.isfinite(radius), radius, middle), middle / max_ratio, middle * max_ratio)


def _leave_clip_out(
    others: Float64Array, clips: NDArray[np.int64], n_neighbours: int, max_ratio: float
) -> Float64Array:
    """Every clip scored by a back end fitted without it, from the pairwise distances alone."""
    result = np.full(len(clips), np.nan)
    folds = clip_folds(clips)
    if folds.max() == 0:
        return result
    for fold in range(folds.max() + 1):
        own = folds == fold
        radius = _bounded(_mean_nearest(others[np.ix_(~own, ~own)], n_neighbours), max_ratio)
        result[own] = (others[np.ix_(own, ~own)] / radius).min(axis=1)
    return result
