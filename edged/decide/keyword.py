"""From DTW columns to keyword matches: local minima below a limit, overlaps resolved to the best, none too short.

A candidate is decided once no better rival has come up for `hold_frames`; a better rival makes it wait for that one's
decision. The result is that of sorting all candidates by distance and keeping those without a better rival, with a
delay that is bounded because distances only fall so far.

Words spoken one after the other touch: clips are cut with a little of their neighbours, so two matches are rivals only
if they share more than two fifths of the shorter one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array

RIVAL_SHARE = 0.4

Numbers = Sequence[float] | Float64Array


@dataclass(frozen=True)
class Candidate:
    """A stretch that resembles a word; frames are counted since the last reset, the end is exclusive."""

    word: int
    frame_start: int
    frame_end: int
    distance: float

    @property
    def frames(self) -> int:
        """Length."""
        return self.frame_end - self.frame_start

    def rivals(self, other: Candidate) -> bool:
        """Whether the two cannot both be right.

        >>> match = Candidate(0, 0, 10, 0.1)
        >>> match.rivals(Candidate(1, 6, 20, 0.2)), match.rivals(Candidate(1, 5, 20, 0.2))
        (False, True)
        """
        shared = min(self.frame_end, other.frame_end) - max(self.frame_start, other.frame_start)
        return shared > RIVAL_SHARE * min(self.frames, other.frames)


class KeywordDecider:
    """Decides one stream; pure.

    Args:
        word_frames: length of each word.
        limits: distance of each word at which it counts as found.
        hold_frames: how long a candidate waits for a better one.
    """

    def __init__(self, word_frames: Numbers, limits: Numbers, hold_frames: int) -> None:
        self._shortest = np.asarray(word_frames, dtype=np.float64) / 2.0
        self._limits = np.asarray(limits, dtype=np.float64)
        self._hold_frames = hold_frames
        self._memory_frames = round(
            4.0 * float(self._shortest.max(initial=0.0))
        )  # a path is at most two templates long
        self.reset()

    def reset(self) -> None:
        """Forget the stream; nothing spans a reset."""
        self._before = np.full(len(self._limits), np.inf)  # distances two frames ago, and of the last frame
        self._last = np.full(len(self._limits), np.inf)
        self._last_starts = np.zeros(len(self._limits), dtype=np.int64)
        self._pending: list[Candidate] = []
        self._decided: list[Candidate] = []  # the last matches, as long as something may still rival them

    def push(self, frame: int, distances: Float64Array, starts: NDArray[np.int64]) -> list[Candidate]:
        """Take consecutive columns, (n_frames, n_words) each, the first at ``frame``; return what is certain now."""
        matches: list[Candidate] = []
        for offset, (column, column_starts) in enumerate(zip(distances, starts, strict=True)):
            self._collect(frame + offset, column)
            self._before, self._last, self._last_starts = self._last, column, column_starts
            matches += self._decide(frame + offset - self._hold_frames)
        return matches

    def flush(self, frame: int) -> list[Candidate]:
        """End of the signal after ``frame`` frames: decide everything that is left."""
        self._collect(frame, np.full(len(self._limits), np.inf))
        matches: list[Candidate] = []
        while self._pending:
            matches += self._decide(max(candidate.frame_end for candidate in self._pending))
        self.reset()
        return sorted(matches, key=lambda match: match.frame_start)

    def _collect(self, frame: int, column: Float64Array) -> None:
        """Candidates that ended with the previous frame: local minima below the limit, and long enough."""
        minimum = (self._last <= self._before) & (self._last < column) & (self._last < self._limits)
        for word in np.flatnonzero(minimum):
            candidate = Candidate(int(word), int(self._last_starts[word]), frame, float(self._last[word]))
            if candidate.frames >= self._shortest[word] and not any(map(candidate.rivals, self._decided)):
                self._pending.append(candidate)

    def _decide(self, until: int) -> list[Candidate]:
        """Matches among the candidates that ended at or before frame ``until``."""
        due = sorted(
            (c for c in self._pending if c.frame_end <= until), key=lambda c: (c.distance, c.frame_end, c.word)
        )
        matches: list[Candidate] = []
        for candidate in due:
            if any(match.rivals(candidate) for match in matches) or self._has_better_rival(candidate):
                continue
            matches.append(candidate)
            self._pending = [c for c in self._pending if not c.rivals(candidate)]
        if matches:
            self._decided = [c for c in self._decided if c.frame_end > until - self._memory_frames] + matches
        return matches

    def _has_better_rival(self, candidate: Candidate) -> bool:
        return any(other.distance < candidate.distance and other.rivals(candidate) for other in self._pending)
