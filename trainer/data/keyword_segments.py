"""Segments of a quarter of a second with their labels, as the thesis trains on (section 6.3.4).

frames of clips, of recordings without words -> overlapping segments -> labels of keyword and position -> data set

Class 0 is "no speech"; 1..n the words, n+1..2n the words played backwards where those are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from edged.flow import Float32Array
from trainer.losses.tacos import relative_position

SEGMENT_FRAMES = 16
"""0.25 s of the keyword front end."""

STEP_FRAMES = 3
"""A fifth of a segment, 0.05 s. The thesis calls it the overlap, as it does the 256 samples from one segment to the
next at inference; key publication 2 says step."""

MAX_POSITIONS = 32
BACKGROUND_SEGMENTS = 2000
"""At most so many are learned of what holds no words: every other class is repeated until it has as many."""


@dataclass(frozen=True)
class LabelledSegment:
    """One segment with its context: frames (before + 16 + after, n_mels), probabilities of keyword and position."""

    frames: Float32Array
    keyword: Tensor
    position: Tensor


@dataclass(frozen=True)
class SegmentCutter:
    """How segments are cut.

    Attributes:
        silence: value of a frame beyond the ends of a clip.
        context: more frames (before, after) that a network sees; the larger of both is cut on either side, since what
            is played backwards has them the other way round.
        step_frames: from one segment to the next.
    """

    silence: float
    context: tuple[int, int] = (0, 0)
    step_frames: int = STEP_FRAMES

    def cut(self, frames: Float32Array, first: int = 0, last: int | None = None) -> list[Float32Array]:
        """Segments whose middle lies within frames ``first`` to ``last``, the last as near to its end as fits.

        A stretch shorter than a segment gives one, filled with silence (or with what follows it in the clip).
        """
        end = len(frames) if last is None else last
        reach = max(self.context)
        width = SEGMENT_FRAMES + 2 * reach
        padded = np.pad(frames, ((reach, width), (0, 0)), constant_values=self.silence)
        final = max(first, end - SEGMENT_FRAMES)
        starts = range(first, final + self.step_frames, self.step_frames)
        return [padded[min(at, final) : min(at, final) + width] for at in starts]


def labelled_segments(
    words: Mapping[str, Sequence[Sequence[Float32Array]]],
    background: Sequence[Float32Array],
    *,
    context: tuple[int, int] = (0, 0),
    reversed_segments: bool,
) -> tuple[list[LabelledSegment], int]:
    """All segments with their labels, and the number of positions.

    Words have their relative positions; the background and what is played backwards have none, so that each position
    is as likely (6.3.5).

    Args:
        words: word -> clips -> segments of the clip in their order.
        background: segments without speech.
        context: as they were cut.
        reversed_segments: add every segment played backwards, those of words as classes of their own.
    """

    def seen(frames: Float32Array) -> Float32Array:
        return frames[max(context) - context[0] : len(frames) - max(context) + context[1]]

    n_positions = min(MAX_POSITIONS, max(len(pieces) for clips in words.values() for pieces in clips))
    n_words = len(words)
    unit = torch.eye(1 + n_words * (2 if reversed_segments else 1))
    uniform = torch.full((n_positions,), 1.0 / n_positions)
    segments = [
        LabelledSegment(seen(frames), unit[1 + word], relative_position(i, len(pieces), n_positions))
        for word, clips in enumerate(words.values())
        for pieces in clips
        for i, frames in enumerate(pieces)
    ]
    segments += [LabelledSegment(seen(frames), unit[0], uniform) for frames in background]
    if reversed_segments:
        segments += [LabelledSegment(seen(frames[::-1]), unit[0], uniform) for frames in background]
        segments += [
            LabelledSegment(seen(frames[::-1]), unit[1 + n_words + word], uniform)
            for word, clips in enumerate(words.values())
            for pieces in clips
            for frames in pieces
        ]
    return segments, n_positions


def some_background(segments: Sequence[Float32Array], seed: int) -> list[Float32Array]:
    """`BACKGROUND_SEGMENTS` of them, drawn."""
    chosen = np.random.default_rng(seed).permutation(len(segments))[:BACKGROUND_SEGMENTS]
    return [segments[i] for i in chosen]


class SegmentDataset(Dataset[dict[str, Tensor]]):
    """Segments of all classes, each at least once, those of rarer classes repeated until every class has as many."""

    def __init__(self, segments: Sequence[LabelledSegment], seed: int) -> None:
        self._segments = segments
        by_class: dict[int, list[int]] = {}
        for index, segment in enumerate(segments):
            by_class.setdefault(int(segment.keyword.argmax()), []).append(index)
        most = max(len(indices) for indices in by_class.values())
        rng = np.random.default_rng(seed)
        self._order = [int(i) for indices in by_class.values() for i in _oversampled(rng, indices, most)]

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        segment = self._segments[self._order[index]]
        return {
            "frames": torch.from_numpy(np.ascontiguousarray(segment.frames)),
            "keyword": segment.keyword,
            "position": segment.position,
        }


def _oversampled(rng: np.random.Generator, indices: Sequence[int], n: int) -> list[int]:
    """All of them as often as they fit into ``n``, the rest drawn without repetition."""
    rest = rng.choice(indices, n % len(indices), replace=False)
    return [*indices] * (n // len(indices)) + [int(index) for index in rest]
