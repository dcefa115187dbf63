"""Sub-sequence dynamic time warping of a stream against all templates at once (thesis section 6.3.6).

    cost     c(i, t) = 1 - cos(template row i, frame t)
    steps    (1, 1), (1, 2), (2, 1) as (rows, frames); a path may begin at any frame, in row 0
    distance of a template at frame t = accumulated cost of the best path that ends there in its last row / cells on it

A cell depends on the two previous columns only, so a column over the rows of all templates is one vectorised update:
constant time and memory per frame. The first frame and the number of cells of the best path are carried along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float32Array, Float64Array

Int64Array = NDArray[np.int64]

_PAD = 2
_START_SHIFT, _CELLS = 16, 0xFFFF


@dataclass(frozen=True)
class DtwTrace:
    """What the templates say at each of some consecutive frames.

    Attributes:
        frame: number of the first of these frames since the last reset.
        distances: float64 (n_frames, n_templates), path-normalised; inf where no path can end yet.
        starts: int64 (n_frames, n_templates), frame at which that path began.
    """

    frame: int
    distances: Float64Array
    starts: Int64Array


class StreamingDtw:
    """Column-wise DTW of one stream.

    Templates stand side by side, their rows below two rows of infinity, so that a step back is a slice.

    Args:
        templates: float (n_rows, dim) each, at least one row; need not be of unit length.
    """

    def __init__(self, templates: Sequence[Float32Array]) -> None:
        lengths = [len(template) for template in templates]
        dim = templates[0].shape[1] if templates else 1
        self._n_rows, self._n_templates = max(lengths, default=1), len(templates)
        rows = np.zeros((self._n_rows, self._n_templates, dim), dtype=np.float32)
        for index, template in enumerate(templates):
            rows[: len(template), index] = unit_rows(template)
        self._rows = rows.reshape(-1, dim)
        self._last = (np.array(lengths, dtype=np.int64) - 1 + _PAD, np.arange(self._n_templates))
        self.reset()

    def reset(self) -> None:
        """Forget the stream; nothing spans a reset."""
        shape = (self._n_rows + _PAD, self._n_templates)
        self._frame = 0
        self._cost = [np.full(shape, np.inf) for _ in range(3)]  # this column, the last, the one before
        self._path = [np.zeros(shape, dtype=np.int64) for _ in range(3)]  # start << 16 | cells

    def push(self, frames: Float32Array) -> DtwTrace:
        """Take float32 (n_frames, dim); any cutting of the stream gives the same columns (up to rounding, 1e-6)."""
        first = self._frame
        distances = np.empty((len(frames), self._n_templates))
        starts = np.empty((len(frames), self._n_templates), dtype=np.int64)
        cosine = unit_rows(frames) @ self._rows.T  # (n_frames, n_rows * n_templates)
        for index, row in enumerate(cosine):
            self._advance(1.0 - row.reshape(self._n_rows, self._n_templates))
            path = self._path[0][self._last]
            distances[index] = self._cost[0][self._last] / (path & _CELLS)
            starts[index] = path >> _START_SHIFT
        return DtwTrace(first, distances, starts)

    def _advance(self, cost: Float32Array) -> None:
        """One column: cost (n_rows, n_templates)."""
        self._cost.insert(0, self._cost.pop())
        self._path.insert(0, self._path.pop())
        (total, last, before), (path, last_path, before_path) = self._cost, self._path
        best, best_path = total[_PAD:], path[_PAD:]
        straight, slow, fast = last[1:-1], before[1:-1], last[:-2]  # steps (1, 1), (1, 2), (2, 1)
        np.minimum(straight, slow, out=best)
        np.copyto(best_path, np.where(slow < straight, before_path[1:-1], last_path[1:-1]))
        skipped = fast < best
        np.minimum(best, fast, out=best)
        np.copyto(best_path, last_path[:-2], where=skipped)
        best[0] = 0.0
        best_path[0] = self._frame << _START_SHIFT
        best += cost
        best_path += 1
        self._frame += 1


def unit_rows(frames: Float32Array) -> Float32Array:
    """Rows of unit length; zero rows stay zero."""
    norms = np.sqrt(np.sum(np.square(frames, dtype=np.float32), axis=1, keepdims=True))
    return np.asarray(frames / np.maximum(norms, np.float32(1e-12)), dtype=np.float32)


def offline_dtw(template: Float32Array, frames: Float32Array) -> tuple[Float64Array, Int64Array]:
    """The same by the full matrix, cell by cell: the slow reference for tests.

    Returns:
        distance (n_frames,) of the best path ending at each frame, and the frame where it began.
    """
    cost = 1.0 - unit_rows(template).astype(np.float64) @ unit_rows(frames).astype(np.float64).T
    n_rows, n_frames = cost.shape
    paths: dict[tuple[int, int], tuple[float, int, int]] = {}  # cell -> (accumulated, cells, start)
    for t in range(n_frames):
        for i in range(n_rows):
            if i == 0:
                paths[i, t] = (float(cost[i, t]), 1, t)
                continue
            came = [paths[cell] for cell in ((i - 1, t - 1), (i - 1, t - 2), (i - 2, t - 1)) if cell in paths]
            if came:
                best = min(came, key=lambda path: path[0])
                paths[i, t] = (best[0] + float(cost[i, t]), best[1] + 1, best[2])
    ends = [paths.get((n_rows - 1, t)) for t in range(n_frames)]
    distances = np.array([path[0] / path[1] if path else np.inf for path in ends])
    return distances, np.array([path[2] if path else 0 for path in ends])
