"""The Frechet mean of a word's shots under dynamic time warping: DTW barycentre averaging (Petitjean et al. 2011)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edged.flow import Float32Array, Float64Array
from edged.score.dtw import unit_rows

ITERATIONS = 10
MOST_AVERAGED = 20
"""Of many shots, so many say what their mean is."""


def representative(shots: Sequence[Float32Array]) -> list[Float32Array]:
    """What stands for all shots of a word, float (n_rows, dim) each: their mean, one template to listen for."""
    step = -(-len(shots) // MOST_AVERAGED)
    return [frechet_mean(shots[::step])]


def frechet_mean(shots: Sequence[Float32Array], iterations: int = ITERATIONS) -> Float32Array:
    """One template for several shots.

    It begins with the shot nearest to all others; each round replaces every row by the mean of the frames that DTW
    aligns with it.

    Args:
        shots: float (n_rows, dim) each, at least one.

    Returns:
        float32 (n_rows of the first guess, dim), rows of unit length.
    """
    units = [unit_rows(shot) for shot in shots]
    distances = [sum(warp(one, other)[0] for other in units) for one in units]
    mean = units[int(np.argmin(distances))]
    for _ in range(iterations if len(units) > 1 else 0):
        mean = _one_round(mean, units)
    return mean


def _one_round(mean: Float32Array, units: Sequence[Float32Array]) -> Float32Array:
    total = np.zeros(mean.shape, dtype=np.float64)
    for unit in units:
        _, path = warp(mean, unit)
        np.add.at(total, path[:, 0], unit[path[:, 1]])
    return unit_rows(total.astype(np.float32))


def warp(left: Float32Array, right: Float32Array) -> tuple[float, np.ndarray]:
    """Classical DTW of two sequences with cosine cost and steps (1, 0), (0, 1), (1, 1).

    Returns:
        the accumulated cost, and int64 (n_cells, 2) of the path.
    """
    cost = 1.0 - left.astype(np.float64) @ right.astype(np.float64).T
    n_left, n_right = cost.shape
    total = np.full((n_left + 1, n_right + 1), np.inf)
    total[0, 0] = 0.0
    costs, cells, across = cost.ravel(), total.ravel(), n_right + 1  # a step of `n_right` goes down and left
    for diagonal in range(n_left + n_right - 1):
        row = max(0, diagonal - n_right + 1)
        n_cells = min(diagonal, n_left - 1) - row + 1
        first = row * n_right + diagonal - row
        corner = row * across + diagonal - row  # up and left of the first cell
        here = costs[first :: max(n_right - 1, 1)][:n_cells]
        best = np.minimum(cells[corner::n_right][:n_cells], cells[corner + 1 :: n_right][:n_cells])
        np.minimum(best, cells[corner + across :: n_right][:n_cells], out=best)
        np.add(here, best, out=cells[corner + across + 1 :: n_right][:n_cells])
    return float(total[-1, -1]), _path(total)


def _path(total: Float64Array) -> np.ndarray:
    """Back from the last cell to the first."""
    i, j = total.shape[0] - 1, total.shape[1] - 1
    cells = [(i - 1, j - 1)]
    while i > 1 or j > 1:
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        i, j = min(steps, key=lambda cell: total[cell])
        cells.append((i - 1, j - 1))
    return np.array(cells[::-1], dtype=np.int64)
