"""Spherical k-means in plain numpy: seeded, deterministic, small (it runs on the device at enrolment)."""

from __future__ import annotations

import numpy as np

from edged.flow import Float64Array
from edged.score.distances import TINY, unit


def spherical_kmeans(vectors: Float64Array, n_clusters: int, seed: int = 0, n_iterations: int = 50) -> Float64Array:
    """Unit centres (n_clusters, dim) that the rows are close to in angle; fewer rows than clusters are all returned.

    Args:
        vectors: (n, dim), any length; only their direction counts.
        n_clusters: at most this many centres.
        seed: of the k-means++ start.
    """
    points = unit(vectors)
    if len(points) <= n_clusters:
        return points
    centres = _plus_plus(points, n_clusters, np.random.default_rng(seed))
    nearest = np.full(len(points), -1)
    for _ in range(n_iterations):
        assigned = np.argmax(points @ centres.T, axis=1)
        if np.array_equal(assigned, nearest):
            break
        nearest = assigned
        centres = _means(points, nearest, centres)
    return centres


def _plus_plus(points: Float64Array, n_clusters: int, rng: np.random.Generator) -> Float64Array:
    """k-means++: each further start is drawn with probability ~ its distance to the nearest one."""
    chosen = [int(rng.integers(len(points)))]
    gap = np.full(len(points), np.inf)
    while len(chosen) < n_clusters:
        gap = np.minimum(gap, np.maximum(1.0 - points @ points[chosen[-1]], 0.0))
        total = gap.sum()
        weights = gap / total if total > TINY else np.full(len(points), 1.0 / len(points))
        chosen.append(int(rng.choice(len(points), p=weights)))
    return points[chosen]


def _means(points: Float64Array, nearest: np.ndarray, centres: Float64Array) -> Float64Array:
    """Mean direction of every cluster; an empty cluster keeps its centre."""
    sums = np.zeros_like(centres)
    np.add.at(sums, nearest, points)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    result: Float64Array = np.where(length > TINY, sums / np.maximum(length, TINY), centres)
    return result
