"""What is said per word equals taking each word's templates on their own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.score.dtw import DtwTrace
from edged.score.words import WordGroups, combined_count


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_equals_a_loop_over_words(sizes, seed):
    rng = np.random.default_rng(seed)
    distances = rng.uniform(size=(7, sum(sizes)))
    distances[rng.uniform(size=distances.shape) < 0.2] = np.inf
    starts = rng.integers(0, 100, distances.shape)
    word_of_template = np.repeat(np.arange(len(sizes)), sizes)
    means, first = WordGroups.of(word_of_template, len(sizes)).combine(DtwTrace(0, distances, starts))
    for word, size in enumerate(sizes):
        mine = np.flatnonzero(word_of_template == word)
        expected = np.sort(distances[:, mine], axis=1)[:, : combined_count(size)].mean(axis=1)
        np.testing.assert_allclose(means[:, word], expected, rtol=1e-12)
        best = mine[distances[:, mine].argmin(axis=1)]
        np.testing.assert_array_equal(first[:, word], starts[np.arange(7), best])


def test_no_frames_and_no_words():
    empty = DtwTrace(0, np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64))
    assert WordGroups.of(np.array([0, 1, 1]), 2).combine(empty)[0].shape == (0, 2)
    nothing = DtwTrace(0, np.zeros((4, 0)), np.zeros((4, 0), dtype=np.int64))
    assert WordGroups.of(np.zeros(0, dtype=np.int64), 0).combine(nothing)[0].shape == (4, 0)


@pytest.mark.parametrize("n_templates", [1, 2, 5, 500])
def test_at_least_one_template_counts(n_templates):
    assert 1 <= combined_count(n_templates) <= n_templates
