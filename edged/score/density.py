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

from edged.errors import EnrolmentError, StateError
from edged.flow import Float64Array
from edged.score.backend import Arrays, rows_left_out, stored
from edged.score.distances import METRIC_CODES, METRICS, TINY, without_own_clip
from edged.score.references import References


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
        plain = _mean_nearest(others, n_neighbours)
        radius = bounded(plain, max_ratio, usual(plain))
        left_out = np.full(len(members), np.nan)
        for own in rows_left_out(references.clips):
            without = bounded(_mean_nearest(others[np.ix_(~own, ~own)], n_neighbours), max_ratio, usual(plain))
            left_out[own] = (others[np.ix_(own, ~own)] / without).min(axis=1)
        return cls(metric, members, radius, left_out)

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
        code = np.array([METRIC_CODES[self.metric]], np.int64)
        return {"metric": code, "members": self.members, "radius": self.radius, "left_out": self.left_out}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> DensityBackend:
        """Restore what `to_arrays` gave."""
        members = np.asarray(stored(arrays, "members", 2), np.float64)
        radius, left_out = (np.asarray(stored(arrays, key, 1), np.float64) for key in ("radius", "left_out"))
        return cls(stored_metric(arrays), members, radius, left_out)

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


def usual(sizes: Float64Array) -> float:
    """The median of the neighbourhoods' known sizes (n,); 1 when none is known, or all are nothing."""
    known = sizes[np.isfinite(sizes)]
    middle = float(np.median(known)) if len(known) else 0.0
    return middle if middle > TINY else 1.0


def bounded(sizes: Float64Array, max_ratio: float, where_unknown: float) -> Float64Array:
    """Sizes of neighbourhoods limited around their median: (n,) -> (n,).

    Args:
        sizes: NaN where a row has no neighbour; it gets the median.
        max_ratio: largest ratio to the median, either way.
        where_unknown: taken for the median when no row has a neighbour, as of the one clip left when the other is left
            out: it must be of the scale of the whole set, or the two would be measured by different rulers.
    """
    middle = usual(sizes) if np.isfinite(sizes).any() else where_unknown
    return np.clip(np.where(np.isfinite(sizes), sizes, middle), middle / max_ratio, middle * max_ratio)


def stored_metric(arrays: Arrays) -> str:
    """The metric of a stored back end, which keeps it as a number.

    Raises:
        StateError: it is none.
    """
    code = int(stored(arrays, "metric", 1)[0])
    for name, known in METRIC_CODES.items():
        if code == known:
            return name
    raise StateError(f"a stored back end has an unknown metric {code}", fix="enrol again")
