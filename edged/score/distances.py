"""Distances between all rows of two sets of vectors, in float64, and the means to leave a clip out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edged.flow import Float64Array

Metric = Callable[[ArrayLike, ArrayLike], Float64Array]

TINY = 1e-12


def euclidean(left: ArrayLike, right: ArrayLike) -> Float64Array:
    """|x - y| for every pair: (n, dim), (m, dim) -> (n, m).

    >>> euclidean([[0.0, 0.0]], [[3.0, 4.0]]).tolist()
    [[5.0]]
    """
    x, y = np.asarray(left, np.float64), np.asarray(right, np.float64)
    squared = np.square(x).sum(axis=1)[:, np.newaxis] + np.square(y).sum(axis=1) - 2.0 * x @ y.T
    result: Float64Array = np.sqrt(np.maximum(squared, 0.0))
    return result


def cosine(left: ArrayLike, right: ArrayLike) -> Float64Array:
    """1 - cos of the angle for every pair, 0 to 2; a zero vector is at distance 1 from everything.

    >>> cosine([[1.0, 0.0]], [[2.0, 0.0], [0.0, 1.0]]).tolist()
    [[0.0, 1.0]]
    """
    result: Float64Array = np.clip(1.0 - unit(left) @ unit(right).T, 0.0, 2.0)
    return result


def unit(vectors: ArrayLike) -> Float64Array:
    """Rows scaled to length one; zero rows stay zero."""
    x = np.asarray(vectors, np.float64)
    result: Float64Array = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), TINY)
    return result


METRICS: dict[str, Metric] = {"euclidean": euclidean, "cosine": cosine}
METRIC_CODES = {"euclidean": 0, "cosine": 1}
"""What stands for a metric in stored arrays."""


def without_own_clip(distances: Float64Array, same_clip: NDArray[np.bool_]) -> Float64Array:
    """Pairwise distances with infinity between rows of one clip."""
    return np.where(same_clip, np.inf, distances)
