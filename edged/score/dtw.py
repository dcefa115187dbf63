"""Sub-sequence dynamic time warping of a stream against all templates at once (thesis section 6.3.6).

    cost     c(i, t) = 1 - cos(template row i, frame t)
    steps    (1, 1), (1, 2), (2, 1) as (rows, frames); a path may begin at any frame, in row 0
    distance of a template at frame t = accumulated cost of the best path that ends there in its last row / cells on it

A cell depends on the two previous columns only, so a column over the rows of all templates is one vectorised update:
constant time and memory per frame. All a cell knows of its best path is packed into one whole number, which a float64
holds exactly:

    accumulated cost in steps of 2^-cost_bits | cells on the path | frame at which it began, counted from `origin`

The smallest number is the best path (of equally good ones the shortest, then the earliest), and a step along a path is
an addition: three passes over a column. Templates lie end to end, two cells of infinity before each, so that a step
back is a slice; the origin moves on before the frame outgrows its bits, however long the stream lasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float32Array, Float64Array

Int64Array = NDArray[np.int64]

BLOCK_FRAMES = 4
"""Frames whose costs are one matrix product; fixed, so that a cost does not depend on how the stream is cut."""

_PAD = 2
_EXACT_BITS = 53
_MAX_COST_BITS = 24


@dataclass(frozen=True)
class DtwTrace:
    """What the templates say at each of some consecutive frames.

    Attributes:
        frame: number of the first of these frames since the last reset.
        distances: float64 (n_frames, n_templates), path-normalised; inf where no path can end yet.
        starts: int64 (n_frames, n_templates), frame at which that path began; 0 where none can end.
    """

    frame: int
    distances: Float64Array
    starts: Int64Array


class _Column(NamedTuple):
    """One column of cells, and the parts of it that are two rows on, one row back and two rows back from those."""

    cells: Float64Array
    here: Float64Array
    one_back: Float64Array
    two_back: Float64Array

    @classmethod
    def empty(cls, n_cells: int) -> _Column:
        cells = np.full(n_cells, np.inf)
        return cls(cells, cells[_PAD:], cells[1:-1], cells[:-_PAD])


class StreamingDtw:
    """Column-wise DTW of one stream.

    Costs are rounded to 2^-cost_bits: distances are exact to half a millionth for templates of up to 1000 rows, and
    half as exact whenever their length doubles beyond.

    Args:
        templates: float (n_rows, dim) each, at least one row; need not be of unit length.
    """

    def __init__(self, templates: Sequence[Float32Array]) -> None:
        lengths = np.array([len(template) for template in templates], dtype=np.int64)
        self._first = np.cumsum(lengths + _PAD) - lengths
        self._last = self._first + lengths - 1
        n_cells = int(lengths.sum()) + _PAD * len(lengths) + (_PAD if not len(lengths) else 0)
        self._choose_bits(int(lengths.max(initial=1)))
        dim = templates[0].shape[1] if templates else 1
        self._rows = np.zeros((dim, n_cells), dtype=np.float32)  # one column a cell; times -2^cost_bits
        self._step = np.full(n_cells, np.inf)  # what a cell adds to a path, but for its cosine
        for first, template in zip(self._first, templates, strict=True):
            cells = slice(first, first + len(template))
            self._rows[:, cells] = unit_rows(template).T * np.float32(-(2.0**self._cost_bits))
            self._step[cells] = 2.0 ** (self._cost_bits + self._path_bits) + 2.0**self._start_bits
        self._frames = np.zeros((BLOCK_FRAMES, dim), dtype=np.float32)
        self._cosines = np.empty((BLOCK_FRAMES, n_cells), dtype=np.float32)
        self._costs = np.empty((BLOCK_FRAMES, n_cells))
        self._columns = [_Column.empty(n_cells) for _ in range(3)]  # this one, the last, the one before
        self.reset()

    def _choose_bits(self, n_rows: int) -> None:
        """A path has at most ``n_rows`` cells of a cost up to 2, on fewer than twice as many frames."""
        self._span = 1 << (2 * n_rows + BLOCK_FRAMES).bit_length()
        self._start_bits = self._span.bit_length()  # frames are counted up to twice the span
        self._path_bits = self._start_bits + n_rows.bit_length()
        self._cost_bits = min(_MAX_COST_BITS, _EXACT_BITS - self._path_bits - n_rows.bit_length() - 1)

    def reset(self) -> None:
        """Forget the stream; nothing spans a reset."""
        self._frame = self._origin = 0
        for column in self._columns:
            column.cells.fill(np.inf)

    def push(self, frames: Float32Array) -> DtwTrace:
        """Take float32 (n_frames, dim); any cutting of the stream gives the same columns (up to rounding, 1e-6).

        A frame that is zero or not finite resembles nothing: it costs 1 wherever it is.
        """
        first = self._frame
        distances = np.empty((len(frames), len(self._last)))
        starts = np.empty(distances.shape, dtype=np.int64)
        for begin in range(0, len(frames), BLOCK_FRAMES):
            block = slice(begin, min(begin + BLOCK_FRAMES, len(frames)))
            distances[block], starts[block] = self._unpacked(self._advance(unit_rows(frames[block])))
        return DtwTrace(first, distances, starts)

    def _advance(self, units: Float32Array) -> Float64Array:
        """Up to a block of frames; the cells of the templates' last rows, (n_frames, n_templates)."""
        self._make_room()
        self._frames[: len(units)] = units
        np.rint(np.matmul(self._frames, self._rows, out=self._cosines), out=self._cosines)
        np.multiply(self._cosines, 2.0**self._path_bits, out=self._costs, dtype=np.float64)
        np.add(self._costs, self._step, out=self._costs)
        ends = np.empty((len(units), len(self._last)))
        for costs, end in zip(self._costs, ends, strict=False):
            last, before, now = self._columns
            np.minimum(last.one_back, before.one_back, out=now.here)  # steps (1, 1) and (1, 2)
            np.minimum(now.here, last.two_back, out=now.here)  # step (2, 1)
            now.cells[self._first] = self._frame - self._origin
            np.add(now.cells, costs, out=now.cells)
            np.take(now.cells, self._last, out=end, mode="clip")  # "raise" would copy
            self._columns = [now, last, before]
            self._frame += 1
        return ends

    def _make_room(self) -> None:
        """Count frames from a later one on, before they outgrow their bits; every living path began after it."""
        if self._frame - self._origin + BLOCK_FRAMES > 2 * self._span:
            self._origin += self._span
            for column in self._columns[:2]:
                np.subtract(column.cells, self._span, out=column.cells)

    def _unpacked(self, packed: Float64Array) -> tuple[Float64Array, Int64Array]:
        reached = np.isfinite(packed)
        whole = np.where(reached, packed, 0.0).astype(np.int64)
        n_cells = (whole >> self._start_bits) & ((1 << (self._path_bits - self._start_bits)) - 1)
        costs = (whole >> self._path_bits) * 2.0**-self._cost_bits  # a rounding below 0 is 0
        distances = np.where(reached, np.maximum(costs, 0.0) / np.maximum(n_cells, 1), np.inf)
        starts = np.where(reached, (whole & ((1 << self._start_bits) - 1)) + self._origin, 0)
        return distances, starts


def unit_rows(frames: Float32Array) -> Float32Array:
    """Rows of unit length; zero rows stay zero, and those that are not finite become zero."""
    rows = np.asarray(frames, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        units: Float32Array = rows / np.maximum(norms, np.float32(1e-12))[:, np.newaxis]
    is_finite = np.isfinite(norms)
    if not is_finite.all():
        units[~is_finite] = 0.0
    return units


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
