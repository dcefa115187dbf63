"""Alignment of known words: against trying every path, and on constructed sentences with known times."""

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import AudioError
from edged.score.dtw import unit_rows
from trainer.align import MAX_WORDS, align_order

RNG = np.random.default_rng(0)


def word_paths(n_rows, n_frames):
    """All paths through one template, each as its cells (row, frame, weight)."""

    @cache
    def paths_to(row, frame):
        if row < 0 or frame < 0:
            return ()
        if row == 0:
            return (((0, frame, 1),),)
        found = []
        for rows, frames in ((1, 1), (1, 2), (2, 1)):
            found += [(*path, (row, frame, rows)) for path in paths_to(row - rows, frame - frames)]
        return tuple(found)

    return [path for frame in range(n_frames) for path in paths_to(n_rows - 1, frame)]


def slow_total(order, frames):
    """The smallest cost of any choice of shots and paths without overlap."""
    sentence = unit_rows(frames).astype(np.float64)
    choices = []
    for shots in order:
        ways = []
        for shot in shots:
            cost = 1.0 - unit_rows(shot).astype(np.float64) @ sentence.T
            paths = word_paths(len(shot), len(frames))
            ways += [(p[0][1], p[-1][1], sum(w * cost[i, t] for i, t, w in p) / len(shot)) for p in paths]
        choices.append(ways)
    fitting = (c for c in itertools.product(*choices) if all(a[1] < b[0] for a, b in itertools.pairwise(c)))
    return min(sum(way[2] for way in choice) for choice in fitting)


@given(st.integers(0, 10_000))
def test_cost_is_the_smallest_of_all_paths(seed) -> None:
    rng = np.random.default_rng(seed)
    order = [[rng.standard_normal((n, 3)).astype(np.float32) for n in lengths] for lengths in ((2, 3), (3,))]
    frames = rng.standard_normal((9, 3)).astype(np.float32)
    words = align_order(order, frames)
    assert sum(word.distance for word in words) == pytest.approx(slow_total(order, frames), abs=1e-5)
    assert words[0].frame_start < words[0].frame_end <= words[1].frame_start < words[1].frame_end <= 9


def stretched(template, factor):
    return template[np.round(np.linspace(0, len(template) - 1, round(len(template) * factor))).astype(int)]


@given(st.integers(0, 10_000), st.lists(st.sampled_from("abc"), min_size=1, max_size=5))
def test_words_are_found_where_they_were_put(seed, spoken) -> None:
    """Fast, slow or at once behind each other, with noise between them or none."""
    rng = np.random.default_rng(seed)
    templates = {name: rng.standard_normal((int(rng.integers(8, 20)), 12)).astype(np.float32) for name in "abc"}
    pieces, truth, at = [], [], 0
    for name in spoken:
        gap = rng.standard_normal((int(rng.integers(0, 15)), 12))
        piece = stretched(templates[name], rng.uniform(0.7, 1.5))
        piece = piece + 0.1 * rng.standard_normal(piece.shape)
        pieces += [gap, piece]
        truth.append((at + len(gap), at + len(gap) + len(piece)))
        at += len(gap) + len(piece)
    frames = np.concatenate([*pieces, rng.standard_normal((5, 12))]).astype(np.float32)
    words = align_order([[templates[name]] for name in spoken], frames)
    for word, (start, end) in zip(words, truth, strict=True):
        assert abs(word.frame_start - start) <= 2
        assert abs(word.frame_end - end) <= 2
        assert word.distance < 0.2


def test_order_decides_between_equal_words() -> None:
    """The same word twice lies at two places, the earlier one first."""
    template = RNG.standard_normal((10, 8)).astype(np.float32)
    noise = RNG.standard_normal((30, 8)).astype(np.float32)
    words = align_order([[template], [template]], np.concatenate([noise, template, noise, template, noise]))
    assert [(w.frame_start, w.frame_end) for w in words] == [(30, 40), (70, 80)]


def test_the_best_shot_is_taken() -> None:
    right, wrong = RNG.standard_normal((2, 12, 8)).astype(np.float32)
    noise = RNG.standard_normal((20, 8)).astype(np.float32)
    (word,) = align_order([[wrong, right]], np.concatenate([noise, right, noise]))
    assert (word.frame_start, word.frame_end) == (20, 32)
    assert word.distance == pytest.approx(0.0, abs=1e-6)


def test_no_words_and_words_that_do_not_fit() -> None:
    frames = RNG.standard_normal((10, 4)).astype(np.float32)
    long = [RNG.standard_normal((30, 4)).astype(np.float32)]
    assert align_order([], frames) == []
    with pytest.raises(AudioError, match="do not fit"):
        align_order([long], frames)
    with pytest.raises(AudioError, match="do not fit"):
        align_order([[frames], [frames]], frames[:8])
    with pytest.raises(AudioError, match="cut the recording"):
        align_order([[frames]] * (MAX_WORDS + 1), frames)
