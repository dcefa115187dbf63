"""From DTW columns to keyword matches: local minima below a limit, overlaps resolved to the best, none too short.

A candidate is decided once no better rival has come up for `hold_frames`; a better rival makes it wait for that one's
decision. The result is that of sorting all candidates by distance and keeping those without a better rival. Where that
would take longer than `hold_frames` and the longest match together, a candidate with a better rival is given up.

Live, few words have a rival, and waiting for one that does not come is all delay. An eager decider takes a candidate as
soon as its distance rises, unless a rival is in sight: a match of another word, or a better one of the same, that is
below its limit and still falls. What rivals a decided match is not reported any more, so a word is one event.

What is not upheld, as it is nearer to a counter-example, is no match and displaces no other word; nor does its own word
try again on the same stretch.

Words spoken one after the other touch: clips are cut with a little of their neighbours, so two matches are rivals only
if they share more than two fifths of the shorter one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        eager: not to wait where none is in sight.
        frames_at_once: frames come so many at a time from the first on; an eager decision waits for the last of them,
            which costs nothing and sees more.
        longest_frames: of all templates; None: as the longest of the words.
        is_upheld: asked of each match before it is one.
    """

    def __init__(
        self,
        word_frames: Numbers,
        limits: Numbers,
        hold_frames: int,
        *,
        eager: bool = False,
        frames_at_once: int = 1,
        longest_frames: int | None = None,
        is_upheld: Callable[[Candidate], bool] = lambda _: True,
    ) -> None:
        self._eager, self._is_upheld = eager, is_upheld
        self._shortest = np.asarray(word_frames, dtype=np.float64) / 2.0
        self._limits = np.asarray(limits, dtype=np.float64)
        self._hold_frames = hold_frames
        self._decides_every = frames_at_once if eager else 1
        longest = 2.0 * float(self._shortest.max(initial=0.0)) if longest_frames is None else longest_frames
        self._memory_frames = round(2.0 * longest)  # a path is at most two templates long
        self.reset()

    def use_limits(self, limits: Numbers) -> None:
        """Judge by other limits from the next frame on."""
        self._limits = np.array(limits, dtype=np.float64)

    def reset(self) -> None:
        """Forget the stream; nothing spans a reset."""
        self._before = np.full(len(self._limits), np.inf)  # distances two frames ago, and of the last frame
        self._last = np.full(len(self._limits), np.inf)
        self._last_starts = np.zeros(len(self._limits), dtype=np.int64)
        self._pending: list[Candidate] = []
        self._decided: list[Candidate] = []  # the last matches, as long as something may still rival them
        self._refused: list[Candidate] = []  # and those that were not upheld

    def push(self, frame: int, distances: Float64Array, starts: NDArray[np.int64]) -> list[Candidate]:
        """Take consecutive columns, (n_frames, n_words) each, the first at ``frame``; return what is certain now."""
        if not self._pending and not (distances < self._limits).any() and not (self._last < self._limits).any():
            self._remember(distances, starts)
            return []
        matches: list[Candidate] = []
        for offset in range(len(distances)):
            self._collect(frame + offset, distances[offset])
            self._remember(distances[offset : offset + 1], starts[offset : offset + 1])
            if self._pending and (frame + offset + 1) % self._decides_every == 0:
                matches += self._decide(frame + offset)
        return matches

    def _remember(self, distances: Float64Array, starts: NDArray[np.int64]) -> None:
        if len(distances):
            self._before = distances[-2] if len(distances) > 1 else self._last
            self._last, self._last_starts = distances[-1], starts[-1]

    @property
    def decided(self) -> list[Candidate]:
        """The last matches."""
        return list(self._decided)

    def follow(self, distances: Float64Array, starts: NDArray[np.int64], decided: Sequence[Candidate]) -> None:
        """Go on after these columns, of which another decider has decided what was over, and found these matches."""
        self._remember(distances, starts)
        self._decided = list(decided)

    def flush(self, frame: int, *, is_over: bool = True) -> list[Candidate]:
        """Decide everything that is left after ``frame`` frames.

        Args:
            is_over: the signal ends there; otherwise, what still gets nearer is left to another decider.
        """
        if is_over:
            self._collect(frame, np.full(len(self._limits), np.inf))
        else:
            self._pending = [
                c for c in self._pending if all(r.word != c.word for r in self._rivals_in_sight(c, frame - 1))
            ]
        matches: list[Candidate] = []
        while self._pending:
            matches += self._decide(max(candidate.frame_end for candidate in self._pending) + self._hold_frames)
        self.reset()
        return sorted(matches, key=lambda match: match.frame_start)

    def _collect(self, frame: int, column: Float64Array) -> None:
        """Candidates that ended with the previous frame: local minima below the limit, and long enough."""
        minimum = (self._last <= self._before) & (self._last < column) & (self._last < self._limits)
        for word in np.flatnonzero(minimum):
            candidate = Candidate(int(word), int(self._last_starts[word]), frame, float(self._last[word]))
            barred = [*self._decided, *(refused for refused in self._refused if refused.word == word)]
            if candidate.frames >= self._shortest[word] and not any(map(candidate.rivals, barred)):
                self._pending.append(candidate)

    def _decide(self, frame: int) -> list[Candidate]:
        """Matches among the candidates that need not wait at ``frame``, the last one heard."""
        until = frame - self._hold_frames
        due = sorted(
            (c for c in self._pending if c.frame_end <= until or (self._eager and not self._rivals_in_sight(c, frame))),
            key=lambda c: (c.distance, c.frame_end, c.word),
        )
        matches: list[Candidate] = []
        for candidate in due:
            if candidate not in self._pending or self._has_better_rival(candidate):
                continue
            if self._is_upheld(candidate):
                matches.append(candidate)
                self._pending = [c for c in self._pending if not c.rivals(candidate)]
            else:
                self._refused = [c for c in self._refused if c.frame_end > until - self._memory_frames] + [candidate]
                self._pending = [c for c in self._pending if c.word != candidate.word or not c.rivals(candidate)]
        self._pending = [c for c in self._pending if c.frame_end > until - self._memory_frames]
        if matches:
            self._decided = [c for c in self._decided if c.frame_end > until - self._memory_frames] + matches
        return matches

    def _rivals_in_sight(self, candidate: Candidate, frame: int) -> list[Candidate]:
        """What is still falling below its limit at ``frame``, the last one heard, and may beat the candidate."""
        falling = np.flatnonzero((self._last < self._limits) & (self._last < self._before)).tolist()
        current = (Candidate(w, int(self._last_starts[w]), frame + 1, float(self._last[w])) for w in falling)
        return [
            c for c in current if c.rivals(candidate) and (c.word != candidate.word or c.distance < candidate.distance)
        ]

    def _has_better_rival(self, candidate: Candidate) -> bool:
        return any(other.distance < candidate.distance and other.rivals(candidate) for other in self._pending)
