"""How near sound that holds no word came to each of them: what a keyword's false alarms are foreseen from.

    distances of every frame -> local minima, one for each event -> the nearest of them in some time heard

A device that listens for months keeps a few numbers an hour of each word: only the nearest events say how often
something comes nearer still. Matches are counted, not kept: they may have been the word.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array

KEPT_EVENTS = 48
FARTHEST = 1.3
"""Distance beyond which nothing counts as an event: ordinary speech lies between 1 and there."""
MOST_HOURS = 1_000.0
SAME_EVENT_SHARE = 0.6
"""Minima nearer to each other than this share of the word are one event, as they would be rivals as matches."""


@dataclass(frozen=True)
class NearMisses:
    """What came near to a word, and was no match, while some sound was heard.

    Attributes:
        hours: heard.
        distances: float64 (n_events,), ascending, at most `KEPT_EVENTS`.
        complete_below: every event nearer than this is among them.
        limit: distance below which events were matches; 0: none could be.
        matches: how many there were.
    """

    hours: float
    distances: Float64Array
    complete_below: float = FARTHEST
    limit: float = 0.0
    matches: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether these can be such numbers; what was stored may be damaged, or somebody else's."""
        distances = self.distances
        return (
            0.0 <= self.hours < MOST_HOURS
            and 0.0 < self.complete_below <= FARTHEST
            and 0.0 <= self.limit < math.inf
            and self.matches >= 0
            and distances.ndim == 1
            and bool(np.isfinite(distances).all() and (distances > 0.0).all() and (np.diff(distances) >= 0.0).all())
        )


class NearMissCollector:
    """Collects them from the distances of a running stream; pure, bounded.

    Args:
        word_frames: length of each word.
        frame_s: between two frames.
        limits: distance of each word below which events are matches: counted, and in nobody's place. None: 0.
        kept: events kept of each word between two calls of `take`.
    """

    def __init__(
        self,
        word_frames: Sequence[float] | Float64Array,
        frame_s: float,
        limits: Sequence[float] | Float64Array | None = None,
        *,
        kept: int = KEPT_EVENTS,
    ) -> None:
        frames = np.asarray(word_frames, dtype=np.float64)
        self._shortest, self._same = frames / 2.0, frames * SAME_EVENT_SHARE
        self._frame_s, self._kept, self._n_words = frame_s, kept, len(frames)
        self._limits = np.zeros(len(frames)) if limits is None else np.array(limits, dtype=np.float64)
        self._open: list[tuple[int, float] | None] = [None] * self._n_words  # frame and distance of its nearest point
        self._begin()
        self._forget()

    def _begin(self) -> None:
        self._n_frames = 0
        self._nearest: list[list[float]] = [[] for _ in range(self._n_words)]  # heaps of -distance
        self._is_cut = np.zeros(self._n_words, dtype=np.bool_)
        self._matches = np.zeros(self._n_words, dtype=np.int64)

    def _forget(self) -> None:
        self._next = 0
        self._edge: Float64Array = np.full((2, self._n_words), np.inf)
        self._edge_start = np.zeros(self._n_words, dtype=np.int64)

    def reset(self, *, is_over: bool = True) -> None:
        """Nothing spans what comes next and what was before.

        Args:
            is_over: the sound ended there; otherwise, what still gets nearer is left to a collector that follows.
        """
        if is_over:
            self._collect(np.full((1, self._n_words), np.inf), self._edge_start[np.newaxis])
        for word in range(self._n_words):
            self._settle(word)
        self._forget()

    def follow(self, frame: int, distances: Float64Array, starts: NDArray[np.int64]) -> None:
        """Go on after these columns, the first at ``frame``, of which nothing counts as heard here."""
        if len(distances):
            self._edge = np.concatenate([self._edge, distances])[-2:]
            self._edge_start, self._next = starts[-1], frame + len(distances)

    def push(self, frame: int, distances: Float64Array, starts: NDArray[np.int64]) -> None:
        """Take consecutive columns, (n_frames, n_words) each, the first at ``frame``."""
        self._n_frames += len(distances)
        self._next = frame
        self._collect(distances, starts)

    def _collect(self, distances: Float64Array, starts: NDArray[np.int64]) -> None:
        """Minima up to the last frame but one of these, the next after those before."""
        frame = self._next
        columns = np.concatenate([self._edge, distances])  # row i is frame - 2 + i
        paths = np.concatenate([self._edge_start[np.newaxis], starts])  # row i is frame - 1 + i
        here = columns[1:-1]
        is_minimum = (here <= columns[:-2]) & (here < columns[2:]) & (here < FARTHEST)
        for row, word in np.argwhere(is_minimum).tolist():
            end = frame - 1 + row
            if end + 1 - int(paths[row, word]) >= self._shortest[word]:
                self._note(word, end, float(here[row, word]))
        self._edge, self._edge_start, self._next = columns[-2:], paths[-1], frame + len(distances)

    def take(self, limits: Sequence[float] | Float64Array | None = None) -> list[NearMisses]:
        """What each word was near to since the last time; what may still come nearer waits for the next.

        Args:
            limits: below which events are matches from now on; None: as before.
        """
        hours = self._n_frames * self._frame_s / 3600.0
        taken = []
        for word, limit in enumerate(self._limits.tolist()):
            found = np.sort(-np.array(self._nearest[word], dtype=np.float64))
            complete = float(found[-1]) if self._is_cut[word] else FARTHEST
            taken.append(NearMisses(hours, found, complete, limit, int(self._matches[word])))
        self._begin()
        self._limits = self._limits if limits is None else np.array(limits, dtype=np.float64)
        return taken

    def _note(self, word: int, end: int, distance: float) -> None:
        """A minimum: of the event at hand, or the first of the next."""
        event = self._open[word]
        if event is None or end - event[0] > self._same[word]:
            self._settle(word)
            self._open[word] = (end, distance)
        elif distance < event[1]:
            self._open[word] = (end, distance)

    def _settle(self, word: int) -> None:
        event, self._open[word] = self._open[word], None
        if event is None:
            return
        if event[1] < self._limits[word]:
            self._matches[word] += 1
            return
        heap = self._nearest[word]
        if len(heap) < self._kept:
            heapq.heappush(heap, -event[1])
        else:
            heapq.heappushpop(heap, -event[1])
            self._is_cut[word] = True


def merged(first: NearMisses, second: NearMisses, kept: int = KEPT_EVENTS) -> NearMisses:
    """Two parts heard under the same limit as one.

    Raises:
        ValueError: their limits differ.
    """
    if first.limit != second.limit:
        raise ValueError("near misses of different limits cannot be merged: their matches mean different things")
    complete = min(first.complete_below, second.complete_below)
    distances = np.sort(np.concatenate([first.distances, second.distances]))
    if len(distances) > kept:
        complete = min(complete, float(distances[kept]))
    hours, matches = first.hours + second.hours, first.matches + second.matches
    return NearMisses(hours, distances[:kept], complete, first.limit, matches)
