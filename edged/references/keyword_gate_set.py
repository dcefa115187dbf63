"""How near the clips of words are to each other, by the DTW that the monitor listens with.

Every distance is in units of what the template reaches anywhere in ordinary other speech: 0 = identical, 1 = no nearer
than any other speech. How far two words, two recordings of a word or a word and its background are from each other
becomes comparable that way, whatever the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from edged.flow import Float32Array, Float64Array
from edged.score.dtw import Int64Array, StreamingDtw
from edged.score.words import combined_count

BACKGROUND_ROWS = 3_000
"""Of the bundle's background: 48 s at 16 ms a row say a median well enough."""
WINDOW_ROWS = 60
NEAREST_ORDINARY = 1e-3
FARTHEST = 3.0
"""Where a sound is too short to hold a template."""


@dataclass(frozen=True)
class Nearness:
    """The best match of every template in every sound.

    Attributes:
        distances: float64 (n_templates, n_sounds), at most `FARTHEST`.
        starts: int64 (n_templates, n_sounds), row at which that match begins; `ends`: its last row.
    """

    distances: Float64Array
    starts: Int64Array
    ends: Int64Array


class Templates:
    """Templates of any words with their unit of distance.

    Args:
        templates: float32 (n_rows, dim) each.
        background: float32 (n_rows, dim), embeddings of speech that holds none of the words.
    """

    def __init__(self, templates: Sequence[Float32Array], background: Float32Array) -> None:
        self._templates = list(templates)
        self._dtw = StreamingDtw(self._templates)
        self._ordinary = self._ordinary_distances(background[:BACKGROUND_ROWS])

    def part(self, first: int, last: int) -> Templates:
        """Some of them, without listening to the background again."""
        own = copy(self)
        own._templates, own._ordinary = self._templates[first:last], self._ordinary[first:last]
        own._dtw = StreamingDtw(own._templates)
        return own

    def nearness(self, sounds: Sequence[Float32Array]) -> Nearness:
        """Look for all templates in sounds, float32 (n_rows, dim) each."""
        found = [self._best(rows) for rows in sounds]
        shape = (len(self._ordinary), 0)
        if not found:
            return Nearness(np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape, np.int64))
        distances, starts, ends = (np.stack(part, axis=1) for part in zip(*found, strict=True))
        return Nearness(np.minimum(distances / self._ordinary[:, np.newaxis], FARTHEST), starts, ends)

    def _best(self, rows: Float32Array) -> tuple[Float64Array, Int64Array, Int64Array]:
        self._dtw.reset()
        trace = self._dtw.push(rows)
        ends = trace.distances.argmin(axis=0)
        columns = np.arange(len(ends))
        return trace.distances[ends, columns], trace.starts[ends, columns], ends.astype(np.int64)

    def _ordinary_distances(self, background: Float32Array) -> Float64Array:
        """Median over windows of the smallest distance in each, (n_templates,)."""
        distances = self._dtw.push(np.asarray(background, np.float32)).distances
        windows = np.array_split(distances, max(1, len(distances) // WINDOW_ROWS))
        ordinary = np.median(np.stack([window.min(axis=0) for window in windows]), axis=0)
        return np.where(np.isfinite(ordinary), np.maximum(ordinary, NEAREST_ORDINARY), 1.0)


def best_mean(distances: Float64Array) -> Float64Array:
    """Of every sound, the mean of the best three fifths of (n_templates, n_sounds), as the monitor combines them.

    >>> best_mean(np.array([[1.0], [5.0], [2.0], [3.0], [9.0]])).tolist()
    [2.0]
    """
    if not len(distances):
        return np.full(distances.shape[1], np.nan)
    return np.asarray(np.sort(distances, axis=0)[: combined_count(len(distances))].mean(axis=0))


def left_out(distances: Float64Array, n_own: int) -> Float64Array:
    """The same for the first `n_own` sounds, each without the template that was made of it: (n_own,), nan if alone.

    Args:
        distances: (n_templates, n_sounds); template k was made of sound k for k < `n_own`.
    """
    columns = [best_mean(np.delete(distances[:, [own]], own, axis=0)) for own in range(n_own)]
    return np.concatenate([*columns, np.zeros(0)])
