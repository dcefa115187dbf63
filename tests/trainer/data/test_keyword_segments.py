"""Segments of words: cut, labelled as equations (67, 68) and section 6.3.5 say, repeated until classes are equal."""

import numpy as np
import pytest
import torch

from trainer.data.keyword_segments import (
    BACKGROUND_SEGMENTS,
    SEGMENT_FRAMES,
    SegmentCutter,
    SegmentDataset,
    labelled_segments,
    some_background,
)

SILENCE = -9.0


def ramp(n: int) -> np.ndarray:
    return np.repeat(np.arange(n, dtype=np.float32)[:, None], 2, axis=1)


def pieces(n: int) -> list[np.ndarray]:
    return SegmentCutter(SILENCE).cut(ramp(n))


def test_segments_follow_each_other_by_a_fifth_and_end_where_the_clip_ends() -> None:
    cut = pieces(30)
    assert [int(p[0, 0]) for p in cut] == [0, 3, 6, 9, 12, 14]
    assert all(p.shape == (SEGMENT_FRAMES, 2) for p in cut)


@pytest.mark.parametrize("n", [1, 15, 16])
def test_a_clip_of_one_segment_or_less_gives_one(n: int) -> None:
    (only,) = pieces(n)
    assert (only[:n, 0] == np.arange(n)).all()
    assert (only[n:] == SILENCE).all()


def test_context_comes_from_the_clip_and_is_silence_beyond_it() -> None:
    cut = SegmentCutter(SILENCE, context=(4, 4)).cut(ramp(60), 2, 18)
    assert len(cut) == 1
    assert cut[0][:, 0].tolist() == [SILENCE, SILENCE, *range(22)]


@pytest.mark.parametrize("context", [(0, 0), (4, 4), (22, 10), (3, 8)])
def test_what_is_played_backwards_shows_the_same_sixteen_frames(context: tuple[int, int]) -> None:
    """Where more was seen before than after, the network was shown what came before the word."""
    cut = SegmentCutter(SILENCE, context).cut(ramp(200), 60, 90)
    segments, _ = labelled_segments({"a": [cut]}, [], context=context, reversed_segments=True)
    assert len(segments) == 2 * len(cut)
    for forward, backward in zip(segments[: len(cut)], segments[len(cut) :], strict=True):
        assert len(forward.frames) == len(backward.frames) == sum(context) + SEGMENT_FRAMES
        middle = slice(context[0], context[0] + SEGMENT_FRAMES)
        assert backward.frames[middle, 0].tolist() == forward.frames[middle, 0].tolist()[::-1]
        assert (np.diff(forward.frames[:, 0]) == 1).all()
        assert (np.diff(backward.frames[:, 0]) == -1).all()


def test_a_day_of_background_makes_no_epoch_of_a_day() -> None:
    many = some_background([ramp(16)] * 5000, 1)
    assert len(many) == BACKGROUND_SEGMENTS
    assert len(some_background(many[:7], 1)) == 7


def test_labels_of_words_noise_and_what_is_played_backwards() -> None:
    words = {"a": [pieces(22), pieces(16)], "b": [pieces(25)]}
    segments, n_positions = labelled_segments(words, [ramp(16)], reversed_segments=True)
    assert n_positions == 4
    classes = [int(s.keyword.argmax()) for s in segments]
    assert sorted(classes) == sorted([1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [0] * 2)
    for segment in segments:
        assert float(segment.position.sum()) == pytest.approx(1.0)
        backwards, noise = int(segment.keyword.argmax()) > 2, int(segment.keyword.argmax()) == 0
        if backwards or noise:
            assert torch.equal(segment.position, torch.full((4,), 0.25))
        if backwards:
            assert (np.diff(segment.frames[:, 0]) < 0).all()
    assert [s.position.tolist() for s in segments[:3]] == [[0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.5, 0.5]]
    assert segments[3].position.tolist() == [0.25] * 4  # one segment is the whole word


def test_without_reversed_segments_there_are_no_classes_for_them() -> None:
    segments, _ = labelled_segments({"a": [pieces(16)], "b": [pieces(16)]}, [ramp(16)], reversed_segments=False)
    assert [len(s.keyword) for s in segments] == [3, 3, 3]


def test_oversampling_makes_classes_equal_and_loses_no_segment() -> None:
    """Regression: the largest class was drawn with repetition and lost a third of its segments."""
    segments, _ = labelled_segments({"a": [pieces(16)], "b": [pieces(40)]}, [ramp(16)] * 50, reversed_segments=False)
    dataset = SegmentDataset(segments, seed=0)
    classes = [int(dataset[i]["keyword"].argmax()) for i in range(len(dataset))]
    assert [classes.count(c) for c in range(3)] == [50, 50, 50]
    assert set(dataset._order) == set(range(len(segments)))
