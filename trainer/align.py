"""Weak labels into strong ones: when known words were spoken, from their order alone (key publication 2, section 3.3).

The templates of a sentence's words stand one after the other, with gaps of any length between, and are aligned with
the sentence by dynamic programming. Each word chooses the best of its shots.

    cost     1 - cos(template row, frame), steps (1, 1), (1, 2), (2, 1) as (rows, frames)
    weight   of a cell: the rows its step advances, divided by the rows of the template

A word so costs its mean distance per row, whichever path and shot it takes, and no word is preferred for being short.
The paper's concatenation has no gaps; sentences do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.errors import AudioError
from edged.flow import Float32Array, Float64Array
from edged.score.dtw import unit_rows

Int64Array = NDArray[np.int64]

MAX_FRAMES, MAX_WORDS = 60_000, 200


@dataclass(frozen=True)
class AlignedWord:
    """Where a word of the order lies: frames, the end exclusive, and its mean distance to the best shot per row."""

    frame_start: int
    frame_end: int
    distance: float


@dataclass(frozen=True)
class _Ends:
    """The best paths through one word, by the frame they end at: cost so far, frame where the word began."""

    cost: Float64Array
    start: Int64Array


def align_order(order: Sequence[Sequence[Float32Array]], frames: Float32Array) -> list[AlignedWord]:
    """Find the words of a sentence in their order.

    Args:
        order: for each spoken word its shots, float (n_rows, dim) each.
        frames: float (n_frames, dim) of the sentence.

    Returns:
        one per word, in order, without overlap.

    Raises:
        AudioError: the words do not fit into the sentence, or it is too long.
    """
    if len(order) > MAX_WORDS or len(frames) > MAX_FRAMES:
        raise AudioError(f"{len(order)} words in {len(frames)} frames", fix="cut the recording into sentences")
    sentence = unit_rows(frames)
    entry = np.zeros(len(frames))
    words: list[_Ends] = []
    for shots in order:
        words.append(_through_word(shots, sentence, entry))
        entry = np.concatenate([[np.inf], np.minimum.accumulate(words[-1].cost)[:-1]])
    if words and not np.isfinite(words[-1].cost).any():
        raise AudioError(f"{len(order)} words do not fit into the sentence", fix="check the order and the shots")
    return _traced(words)


def _through_word(shots: Sequence[Float32Array], sentence: Float32Array, entry: Float64Array) -> _Ends:
    """The best shot's paths: `entry` float64 (n_frames,) is what it costs to begin the word at a frame."""
    ends = [_through_shot(unit_rows(shot), sentence, entry) for shot in shots]
    costs = np.stack([e.cost for e in ends])  # (n_shots, n_frames)
    best = costs.argmin(axis=0)
    frames = np.arange(len(sentence))
    return _Ends(costs[best, frames], np.stack([e.start for e in ends])[best, frames])


def _through_shot(shot: Float32Array, sentence: Float32Array, entry: Float64Array) -> _Ends:
    """Row by row over all frames at once: a row depends on the two rows before it."""
    cost = (1.0 - shot.astype(np.float64) @ sentence.astype(np.float64).T) / len(shot)  # (n_rows, n_frames)
    last = _Ends(entry + cost[0], np.arange(len(sentence)))
    before: _Ends | None = None
    for row in cost[1:]:
        ways = [(_shifted(last, 1), 1.0), (_shifted(last, 2), 1.0)]
        ways += [(_shifted(before, 1), 2.0)] if before else []
        before, last = last, _best(ways, row)
    return last


def _shifted(ends: _Ends, n_frames: int) -> _Ends:
    """What could be reached so many frames earlier."""
    n = len(ends.cost)
    cost = np.full(n, np.inf)
    start = np.zeros(n, dtype=np.int64)
    cost[n_frames:], start[n_frames:] = ends.cost[: max(0, n - n_frames)], ends.start[: max(0, n - n_frames)]
    return _Ends(cost, start)


def _best(ways: Sequence[tuple[_Ends, float]], row: Float64Array) -> _Ends:
    """One more cell on the cheapest way to each frame."""
    costs = np.stack([way.cost + weight * row for way, weight in ways])
    best = costs.argmin(axis=0)
    frames = np.arange(len(row))
    return _Ends(costs[best, frames], np.stack([way.start for way, _ in ways])[best, frames])


def _traced(words: Sequence[_Ends]) -> list[AlignedWord]:
    """From the last word's best end back to the first word."""
    found: list[AlignedWord] = []
    limit = len(words[-1].cost) if words else 0
    for index in range(len(words) - 1, -1, -1):
        end = int(words[index].cost[:limit].argmin())
        start = int(words[index].start[end])
        earlier = float(words[index - 1].cost[:start].min()) if index else 0.0
        found.append(AlignedWord(start, end + 1, float(words[index].cost[end]) - earlier))
        limit = start
    return found[::-1]
