"""Local outlier factor (Breunig et al. 2000; thesis 2.6): how much sparser the references are around a sound.

    reach(x, o)  = max(distance(x, o), distance of o to its K-th neighbour)
    sparsity(x)  = mean reach of x to its K neighbours
    factor(x)    = sparsity(x) * mean of 1 / sparsity(o) over the neighbours;   about 1 = as near as they are to theirs

Every domain has its own neighbourhoods and the smallest factor counts: among the K neighbours of a few target clips
would otherwise be source clips. Neighbours of a reference are of other clips, as rows cut from one clip are near each
other by nature. Neighbourhoods are limited to `max_ratio` times the median one, as an isolated reference's would make
everything look near.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edged.errors import EnrolmentError
from edged.flow import Float64Array
from edged.score.backend import Arrays, rows_left_out, stored
from edged.score.density import bounded, stored_metric, usual
from edged.score.distances import METRIC_CODES, METRICS, without_own_clip
from edged.score.references import References


@dataclass(frozen=True)
class LofBackend:
    """Fitted state: see `fit`.

    Attributes:
        metric: ``euclidean`` or ``cosine``.
        n_neighbours: K.
        members: (n_references, dim).
        domains: (n_references,) number of the domain.
        radius: (n_references,) distance to the K-th neighbour, limited.
        sparsity: (n_references,) mean reach to the neighbours, limited.
        left_out: (n_references,) leave-clip-out distances.
    """

    metric: str
    n_neighbours: int
    members: Float64Array
    domains: NDArray[np.int64]
    radius: Float64Array
    sparsity: Float64Array
    left_out: Float64Array

    @classmethod
    def fit(
        cls, references: References, *, metric: str = "euclidean", n_neighbours: int = 5, max_ratio: float = 2.0
    ) -> LofBackend:
        """Local densities of the references.

        Args:
            references: any domains.
            metric: ``euclidean`` (raw statistics) or ``cosine`` (learned embeddings).
            n_neighbours: K, 5 to 20 do; all where a domain has fewer.
            max_ratio: a neighbourhood is at most this many times, and at least one over this of, the median one.

        Raises:
            EnrolmentError: unknown metric, n_neighbours < 1 or max_ratio < 1.
        """
        if metric not in METRICS or n_neighbours < 1 or max_ratio < 1.0:
            raise EnrolmentError(f"no LOF back end with metric '{metric}', K = {n_neighbours}, ratio {max_ratio}")
        members, domains = np.asarray(references.vectors, np.float64), references.domain_numbers
        others = without_own_clip(METRICS[metric](members, members), references.same_clip())
        plain = _neighbourhoods(others, domains, n_neighbours)
        usual_ones = usual(plain[0]), usual(plain[1])
        radius, sparsity = (bounded(x, max_ratio, x_usual) for x, x_usual in zip(plain, usual_ones, strict=True))
        left_out = np.full(len(members), np.nan)
        for own in rows_left_out(references.clips):
            found = _neighbourhoods(others[np.ix_(~own, ~own)], domains[~own], n_neighbours)
            near, far = (bounded(x, max_ratio, x_usual) for x, x_usual in zip(found, usual_ones, strict=True))
            left_out[own] = _factor(others[np.ix_(own, ~own)], domains[~own], near, far, n_neighbours)
        return cls(metric, n_neighbours, members, domains, radius, sparsity, left_out)

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """Smallest factor over domains: (n, dim) -> (n,), above 0; about 1 for normal sound."""
        distances = METRICS[self.metric](vectors, self.members)
        return _factor(distances, self.domains, self.radius, self.sparsity, self.n_neighbours)

    def nearest(self, vectors: ArrayLike) -> NDArray[np.int64]:
        """Row of the closest reference: (n, dim) -> (n,)."""
        return np.asarray(METRICS[self.metric](vectors, self.members).argmin(axis=1), np.int64)

    def leave_clip_out(self) -> Float64Array:
        """(n_references,): factor with the row's own clip left out of everything; NaN without other clips."""
        return self.left_out

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """All attributes; metric and K as numbers."""
        numbers = np.array([METRIC_CODES[self.metric], self.n_neighbours], np.int64)
        arrays = {key: value for key, value in vars(self).items() if key not in {"metric", "n_neighbours"}}
        return {"metric": numbers[:1], "n_neighbours": numbers[1:], **arrays}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> LofBackend:
        """Restore what `to_arrays` gave."""
        ranks = {"members": 2, "radius": 1, "sparsity": 1, "left_out": 1}
        values = {key: np.asarray(stored(arrays, key, rank), np.float64) for key, rank in ranks.items()}
        n_neighbours = max(1, int(stored(arrays, "n_neighbours", 1)[0]))
        domains = np.asarray(stored(arrays, "domains", 1), np.int64)
        return cls(metric=stored_metric(arrays), n_neighbours=n_neighbours, domains=domains, **values)


def _neighbourhoods(
    others: Float64Array, domains: NDArray[np.int64], n_neighbours: int
) -> tuple[Float64Array, Float64Array]:
    """Distance to the K-th neighbour of the own domain, and mean reach to all K; NaN where there is none: (n,) each."""
    own_domain = np.where(domains[:, np.newaxis] == domains, others, np.inf)
    columns, near = _nearest(own_domain, n_neighbours)
    known = np.isfinite(near)
    radius = np.where(known.any(axis=1), np.max(np.where(known, near, -np.inf), axis=1), np.nan)
    reach = np.where(known, np.maximum(near, radius[columns]), np.nan)
    return radius, _mean(reach)


def _factor(
    distances: Float64Array,
    domains: NDArray[np.int64],
    radius: Float64Array,
    sparsity: Float64Array,
    n_neighbours: int,
) -> Float64Array:
    """Smallest factor over domains: distances (n, n_references) -> (n,)."""
    factors = []
    for domain in np.unique(domains):
        rows = np.flatnonzero(domains == domain)
        columns, near = _nearest(distances[:, rows], n_neighbours)
        chosen = rows[columns]
        reach = np.maximum(near, radius[chosen])
        factors.append(reach.mean(axis=1) * (1.0 / sparsity[chosen]).mean(axis=1))
    return np.asarray(np.min(factors, axis=0))


def _nearest(distances: Float64Array, n_neighbours: int) -> tuple[NDArray[np.int64], Float64Array]:
    """Columns of the K smallest distances of every row, and these: (n, K) each."""
    n_nearest = min(n_neighbours, distances.shape[1])
    columns = np.argpartition(distances, n_nearest - 1, axis=1)[:, :n_nearest]
    return np.asarray(columns, np.int64), np.take_along_axis(distances, columns, axis=1)


def _mean(values: Float64Array) -> Float64Array:
    """Mean of what is known in every row; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
