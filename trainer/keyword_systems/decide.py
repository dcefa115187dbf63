"""From what a system says of every frame to findings: one protocol for sub-sequence DTW and the sliding window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edged.decide.keyword import RIVAL_SHARE
from edged.flow import Float32Array, Float64Array
from edged.score.dtw import DtwTrace, Int64Array, StreamingDtw
from edged.score.keyword import KeywordModel
from trainer.evaluate.spotting import Spotted


@dataclass(frozen=True)
class Evidence:
    """What is known of one recording.

    Attributes:
        distances: float64 (n_frames, n_words), 0 = the same.
        starts: int64 (n_frames, n_words), the frame at which what ends here began.
    """

    distances: Float64Array
    starts: Int64Array


class Decider(Protocol):
    """Turns evidence into findings."""

    words: tuple[str, ...]

    def findings(self, evidence: Evidence, limits: Float64Array) -> list[Spotted]:
        """What lies below the words' limits, float64 (n_words,)."""

    def sweep(self, evidence: Evidence, limits: Float64Array) -> list[list[Spotted]]:
        """Findings at each of several limits that are common to all words."""


class PlainModel(KeywordModel):
    """The thesis's back end: the best template of each word, distances as they are."""

    def combine(self, trace: DtwTrace) -> tuple[Float64Array, Int64Array]:
        """Per word what the DTW says per template: (n_frames, n_words) each."""
        one = [np.flatnonzero(self.word_of_template == word) for word in range(len(self.words))]
        best = [mine[trace.distances[:, mine].argmin(axis=1)] for mine in one]
        frames = np.arange(len(trace.distances))
        return (
            np.stack([trace.distances[frames, column] for column in best], axis=1),
            np.stack([trace.starts[frames, column] for column in best], axis=1),
        )


class TemplateSpotter:
    """Sub-sequence DTW with every shot as a template (6.3.6), decided as the daemon decides with all the time it wants.

    Args:
        templates: word -> shots, float32 (n_rows, dim) each.
        hop_s: seconds from row to row.
    """

    def __init__(self, templates: Mapping[str, Sequence[Float32Array]], hop_s: float) -> None:
        self.words, self._hop_s = tuple(templates), hop_s
        flat = tuple(rows for shots in templates.values() for rows in shots)
        word_of_template = np.repeat(np.arange(len(templates)), [len(shots) for shots in templates.values()])
        self._model = PlainModel(self.words, flat, word_of_template, np.ones(len(templates)), np.inf)
        self._dtw = StreamingDtw(flat)

    def evidence(self, rows: Float32Array) -> Evidence:
        """DTW of one recording's rows, (n_frames, dim), against all templates."""
        self._dtw.reset()
        return Evidence(*self._model.combine(self._dtw.push(rows)))

    def findings(self, evidence: Evidence, limits: Float64Array) -> list[Spotted]:
        """Minima below the limits, overlaps resolved to the best, none shorter than half its word."""
        ends, words = np.nonzero(_minima(evidence.distances) & (evidence.distances < limits))
        starts, distances = evidence.starts[ends, words], evidence.distances[ends, words]
        is_long = ends + 1 - starts >= self._model.word_frames[words] / 2.0
        candidates = np.flatnonzero(is_long)[np.lexsort((words[is_long], ends[is_long], distances[is_long]))]
        kept = without_rivals(starts[candidates], ends[candidates] + 1)
        return [
            Spotted(
                self.words[words[c]],
                float(starts[c]) * self._hop_s,
                float(ends[c] + 1) * self._hop_s,
                float(distances[c]),
            )
            for c in candidates[kept]
        ]

    def sweep(self, evidence: Evidence, limits: Float64Array) -> list[list[Spotted]]:
        """A tighter common limit only takes findings away: whatever rivals a finding is still nearer than it."""
        loose = self.findings(evidence, np.full(len(self.words), limits.max()))
        return [[found for found in loose if found.distance < limit] for limit in limits]


class SlidingSpotter:
    """Cosine to each word's centre, a limit, a median filter, boxes widened by half a segment (6.3.7).

    Args:
        centres: float32 (n_words, dim).
        word_frames: mean length of each word's shots, in frames of the evidence.
        hop_s: seconds from one segment to the next.
        segment_s: length of a segment.
    """

    def __init__(
        self, words: Sequence[str], centres: Float32Array, word_frames: Float64Array, hop_s: float, segment_s: float
    ) -> None:
        self.words, self._hop_s, self._half_s = tuple(words), hop_s, segment_s / 2.0
        self._centres = centres / np.linalg.norm(centres, axis=1, keepdims=True)
        self._widths = [nearest_odd(frames) for frames in word_frames]

    def evidence(self, vectors: Float32Array) -> Evidence:
        """Cosine distances of one recording's vectors, (n_frames, dim), to all centres."""
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        distances = np.asarray(1.0 - unit @ self._centres.T, dtype=np.float64)
        return Evidence(distances, np.repeat(np.arange(len(distances))[:, None], len(self.words), axis=1))

    def findings(self, evidence: Evidence, limits: Float64Array) -> list[Spotted]:
        """Runs of frames below the limit after the median filter, word by word."""
        found: list[Spotted] = []
        for index, (word, width) in enumerate(zip(self.words, self._widths, strict=True)):
            column = evidence.distances[:, index]
            if column.min() >= limits[index]:
                continue
            for first, last in _runs(median_filtered(column < limits[index], width)):
                onset_s = max(0.0, first * self._hop_s - self._half_s)
                offset_s = last * self._hop_s + self._half_s
                found.append(Spotted(word, onset_s, offset_s, float(column[first:last].min())))
        return found

    def sweep(self, evidence: Evidence, limits: Float64Array) -> list[list[Spotted]]:
        """Boxes grow and merge with the limit, so each one is decided anew."""
        return [self.findings(evidence, np.full(len(self.words), limit)) for limit in limits]


def _minima(distances: Float64Array) -> NDArray[np.bool_]:
    """Where a column ends a fall: not above the frame before, below the one after."""
    padded = np.pad(distances, ((1, 1), (0, 0)), constant_values=np.inf)
    return np.asarray((padded[1:-1] <= padded[:-2]) & (padded[1:-1] < padded[2:]))


def without_rivals(starts: Int64Array, ends: Int64Array) -> list[int]:
    """Positions of the stretches, best first, that share no more than the rivals' share with a better one.

    >>> without_rivals(np.array([0, 5, 6]), np.array([10, 15, 16]))
    [0, 2]
    """
    left, kept = np.arange(len(starts)), []
    while len(left):
        best = left[0]
        kept.append(int(best))
        shared = np.minimum(ends[left], ends[best]) - np.maximum(starts[left], starts[best])
        shorter = np.minimum((ends - starts)[left], ends[best] - starts[best])
        left = left[(shared <= RIVAL_SHARE * shorter) & (left != best)]
    return kept


def nearest_odd(value: float) -> int:
    """The nearest odd number, at least 1.

    >>> [nearest_odd(x) for x in (0.2, 4.4, 5.9, 6.1)]
    [1, 5, 5, 7]
    """
    return 2 * max(0, round((value - 1.0) / 2.0)) + 1


def median_filtered(active: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Median of a binary series over an odd window, zeros beyond its ends: bool (n,).

    >>> median_filtered(np.array([1, 0, 1, 1, 0, 0, 1], dtype=bool), 3).astype(int).tolist()
    [0, 1, 1, 1, 0, 0, 0]
    """
    half = width // 2
    total = np.cumsum(np.pad(active.astype(np.int64), (half + 1, half)))
    return np.asarray(total[width:] - total[:-width] > half)


def _runs(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
