"""Keyword spotting with one version of the enrolled words: the end of a keyword monitor's flow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from edged.decide.keyword import Candidate, KeywordDecider
from edged.decide.near_misses import NearMissCollector, NearMisses
from edged.embed.bundle import Value
from edged.features.keyword import KeywordSpec
from edged.flow import SAMPLE_RATE_HZ, Detection, Embedding, Float32Array, Float64Array
from edged.references.keyword import KeywordBank
from edged.references.templates import early_rows
from edged.score.dtw import StreamingDtw
from edged.score.verification import LEAD_ROWS, RowMemory, Verification

MOST_TAKEN = 8
"""Changes of the limits whose near misses wait to be taken: nobody takes them offline."""
REMEMBERED_ROWS = 1_000
"""Beside twice the longest template: rivals may make a match wait, and then it is verified."""


class KeywordSpotter:
    """DTW and decision for one version of the enrolled words; begins anew after every gap.

    Another version goes on in mid-word: see `follow`.

    Args:
        limits: distance of each word at which it counts as found.
        all_matches: report all up to the bundle's loose distance instead.
    """

    def __init__(
        self,
        bank: KeywordBank,
        decision: Mapping[str, Value],
        limits: Sequence[float] | Float64Array,
        spec: KeywordSpec,
        all_matches: bool,
    ) -> None:
        self.bank = bank
        self._hop_samples, self._frames_at_once = spec.hop_samples, spec.segment_frames
        model = bank.model
        self._all_matches = all_matches
        loose = np.full(len(model.words), float(decision["loose_distance"]))
        self._limits = loose if all_matches else np.array(limits, dtype=np.float64)
        self._near_misses = NearMissCollector(
            model.word_frames, spec.hop_samples / SAMPLE_RATE_HZ, np.maximum(self._limits, model.limit)
        )
        self._taken: list[dict[str, NearMisses]] = []
        hold = decision["loose_hold_frames" if all_matches else "hold_frames"]
        self._dtw = StreamingDtw(model.templates)
        self._verification = Verification(bank.verifier) if bank.verifier else None
        self._longest = max(map(len, model.templates), default=0)
        self._memory = RowMemory(2 * self._longest + REMEMBERED_ROWS)
        self._decider = KeywordDecider(
            model.word_frames, self._limits, int(hold),
            eager=not all_matches, frames_at_once=self._frames_at_once, longest_frames=self._longest,
            is_upheld=self._is_upheld,
        )  # fmt: skip
        self._early_frames = [early_rows(n_frames, spec.hop_samples) for n_frames in model.word_frames]
        self._origin = self._next_sample = self._epoch = -1

    def push(self, embedding: Embedding, frames: Float32Array) -> tuple[Detection, ...]:
        """Frames (n_frames, dim) of one segment; those beyond the signal's end are left out."""
        detections: tuple[Detection, ...] = ()
        if embedding.sample_start != self._next_sample or embedding.epoch != self._epoch:
            detections = self.finish()
            self._origin, self._epoch = embedding.sample_start, embedding.epoch
        self._next_sample = embedding.sample_end
        n_valid = -(-(embedding.sample_end - embedding.sample_start) // self._hop_samples)
        self._memory.add(frames[:n_valid])
        trace = self._dtw.push(frames[:n_valid])
        distances, starts = self.bank.model.combine(trace)
        self._near_misses.push(trace.frame, distances, starts)
        return detections + self._detections(self._decider.push(trace.frame, distances, starts))

    def use_limits(self, limits: Sequence[float] | Float64Array) -> None:
        """Judge by other limits from the next frame on."""
        wanted = np.array(limits, dtype=np.float64)
        if self._all_matches or np.array_equal(wanted, self._limits):
            return
        self._limits = wanted
        self._decider.use_limits(wanted)
        self._taken = [*self._taken[-MOST_TAKEN:], self._take(np.maximum(wanted, self.bank.model.limit))]

    def take_near_misses(self) -> list[dict[str, NearMisses]]:
        """What each word (by its identity) was near to since the last time, a part for each set of limits.

        What is nearer than the bundle's own limit may have been the word, so it counts as a match.
        """
        taken, self._taken = self._taken, []
        return [*taken, self._take()]

    def _take(self, limits: Float64Array | None = None) -> dict[str, NearMisses]:
        return dict(zip(self.identities, self._near_misses.take(limits), strict=True))

    @cached_property
    def identities(self) -> list[str]:
        """Of the words, in their order; made once, as each is a digest of all templates of a word."""
        return [self.bank.model.identity(place) for place in range(len(self.bank.model.words))]

    def finish(self) -> tuple[Detection, ...]:
        """Decide everything that waits, and forget the signal; nothing lasts beyond it."""
        detections = self._detections(self._decider.flush(len(self._memory)), self._next_sample)
        self._dtw.reset()
        self._near_misses.reset()
        self._memory.reset()
        return detections

    def follow(self, before: KeywordSpotter) -> tuple[Detection, ...]:
        """Go on where other references were in use: what is being said is heard from its beginning.

        Returns:
            what those others found up to here.
        """
        decided, end = before._decider.decided, len(before._memory)
        matches = before._decider.flush(end, is_over=False)
        detections = before._detections(matches)
        before._near_misses.reset(is_over=False)
        rows = before._memory.rows(end - 2 * self._longest - LEAD_ROWS, end)
        if not end or not self._longest:
            return detections
        rows = rows[(len(rows) - end) % self._frames_at_once :]  # it begins where a segment does, as at a reset
        first = end - len(rows)
        self._origin = before._origin + first * self._hop_samples
        self._next_sample, self._epoch = before._next_sample, before._epoch
        self._memory.add(rows)
        trace = self._dtw.push(rows)
        distances, starts = self.bank.model.combine(trace)
        self._near_misses.follow(trace.frame, distances, starts)
        moved = [
            replace(one, frame_start=one.frame_start - first, frame_end=one.frame_end - first)
            for one in (*decided, *matches)
        ]
        self._decider.follow(distances, starts, moved)
        return detections

    def _detections(self, matches: Sequence[Candidate], ended_at: float = math.inf) -> tuple[Detection, ...]:
        return tuple(self._detection(match, ended_at) for match in matches)

    def _is_upheld(self, match: Candidate) -> bool:
        """Whether it is no nearer to a counter-example of its word."""
        if not self._verification:
            return True
        rows = self._memory.rows(match.frame_start - LEAD_ROWS, match.frame_end)
        return self._verification.upholds(self.bank.model.words[match.word], rows)

    def _detection(self, match: Candidate, ended_at: float) -> Detection:
        onset = self._origin + match.frame_start * self._hop_samples
        heard = self._origin + match.frame_end * self._hop_samples
        offset = heard + self._early_frames[match.word] * self._hop_samples
        return Detection(
            kind="keyword",
            sample_start=onset,
            sample_end=int(min(heard, ended_at)),
            onset_sample=onset,
            offset_sample=int(min(offset, ended_at)),
            score=-match.distance,
            threshold=-float(self._limits[match.word]),
            bank_version=self.bank.version,
            keyword=self.bank.model.words[match.word],
            epoch=self._epoch,
        )
