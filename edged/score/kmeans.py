"""k-means in plain numpy: seeded, deterministic, small (it runs on the device at enrolment)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array
from edged.score.distances import TINY, euclidean, unit

_N_ITERATIONS = 50


def spherical_kmeans(vectors: Float64Array, n_clusters: int, seed: int = 0) -> Float64Array:
    """Unit centres (n_clusters, dim) that the rows are close to in angle; fewer rows than clusters are all returned.

    Args:
        vectors: (n, dim), any length; only their direction counts.
        n_clusters: at most this many centres.
        seed: of the k-means++ start.
    """
    points = unit(vectors)
    if len(points) <= n_clusters:
        return points

    def gap(start: Float64Array) -> Float64Array:
        return np.asarray(np.maximum(1.0 - points @ start, 0.0))

    centres = _plus_plus(points, n_clusters, gap, seed)
    nearest = np.full(len(points), -1)
    for _ in range(_N_ITERATIONS):
        assigned = np.argmax(points @ centres.T, axis=1)
        if np.array_equal(assigned, nearest):
            break
        nearest = assigned
        sums, _counts = _sums(points, nearest, len(centres))
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > TINY, sums / np.maximum(length, TINY), centres)  # an empty cluster keeps its centre
    return centres


def kmeans_labels(points: Float64Array, n_clusters: int, seed: int = 0) -> NDArray[np.int64]:
    """Cluster of every row, (n,), numbered without holes: at most `n_clusters`, by Euclidean distance.

    Args:
        points: (n, dim).
        n_clusters: at most this many.
        seed: of the k-means++ start.
    """

    def gap(start: Float64Array) -> Float64Array:
        return np.asarray(np.square(points - start).sum(axis=1))

    centres = _plus_plus(points, min(n_clusters, len(points)), gap, seed)
    nearest = np.full(len(points), -1)
    for _ in range(_N_ITERATIONS):
        assigned = euclidean(points, centres).argmin(axis=1)
        if np.array_equal(assigned, nearest):
            break
        nearest = assigned
        sums, counts = _sums(points, nearest, len(centres))
        centres = np.where(counts > 0, sums / np.maximum(counts, 1), centres)
    return np.asarray(np.unique(nearest, return_inverse=True)[1], np.int64)


def _plus_plus(
    points: Float64Array, n_clusters: int, gap_to: Callable[[Float64Array], Float64Array], seed: int
) -> Float64Array:
    """k-means++: each further start is drawn with probability ~ its (squared) distance to the nearest one."""
    rng = np.random.default_rng(seed)
    chosen = [int(rng.integers(len(points)))]
    gap = np.full(len(points), np.inf)
    while len(chosen) < n_clusters:
        gap = np.minimum(gap, gap_to(points[chosen[-1]]))
        total = gap.sum()
        weights = gap / total if total > TINY else np.full(len(points), 1.0 / len(points))
        chosen.append(int(rng.choice(len(points), p=weights)))
    return points[chosen]


def _sums(points: Float64Array, nearest: NDArray[np.int64], n_clusters: int) -> tuple[Float64Array, Float64Array]:
    """Sum (n_clusters, dim) and number (n_clusters, 1) of every cluster's rows."""
    sums = np.zeros((n_clusters, points.shape[1]))
    np.add.at(sums, nearest, points)
    counts = np.bincount(nearest, minlength=n_clusters).astype(np.float64)
    return sums, counts[:, np.newaxis]
