"""Streaming DTW equals the full matrix, for any chunking and whatever else is enrolled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.score.dtw import StreamingDtw, offline_dtw

RNG = np.random.default_rng(0)
STREAM = RNG.standard_normal((60, 6)).astype(np.float32)
TEMPLATES = [RNG.standard_normal((n, 6)).astype(np.float32) for n in (1, 2, 5, 11)]


def columns(templates, cuts=()):
    dtw, parts, start = StreamingDtw(templates), [], 0
    for end in [*cuts, len(STREAM)]:
        parts.append(dtw.push(STREAM[start:end]))
        assert parts[-1].frame == start
        start = end
    return np.concatenate([p.distances for p in parts]), np.concatenate([p.starts for p in parts])


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_equals_the_full_matrix_for_any_chunking(cuts):
    distances, starts = columns(TEMPLATES, sorted(cuts))
    for index, template in enumerate(TEMPLATES):
        expected, expected_starts = offline_dtw(template, STREAM)
        np.testing.assert_allclose(distances[:, index], expected, atol=1e-6)
        reached = np.isfinite(expected)
        np.testing.assert_array_equal(starts[reached, index], expected_starts[reached])


def test_a_template_inside_the_stream_is_found_at_distance_zero():
    distances, starts = columns([STREAM[20:35]])
    assert distances[34, 0] == pytest.approx(0.0, abs=1e-6)
    assert starts[34, 0] == 20


def test_slower_and_faster_speech_is_found():
    slow = np.repeat(STREAM[20:30], 2, axis=0)[:-1]  # so that steps of two rows end in the last
    fast = STREAM[20:40:2]
    distances, _ = columns([slow, fast])
    assert distances.min(axis=0) == pytest.approx([0.0, 0.0], abs=1e-6)


def test_another_word_changes_nothing():
    alone, _ = columns(TEMPLATES[:2])
    together, _ = columns(TEMPLATES)
    np.testing.assert_allclose(alone, together[:, :2], atol=1e-6)


def test_shift_in_time_and_reset():
    dtw = StreamingDtw(TEMPLATES)
    first = dtw.push(STREAM)
    dtw.reset()
    again = dtw.push(STREAM)
    np.testing.assert_array_equal(first.distances, again.distances)
    assert again.frame == 0


def test_memory_does_not_grow():
    dtw = StreamingDtw(TEMPLATES)
    dtw.push(STREAM)
    sizes = [array.nbytes for array in (*dtw._cost, *dtw._path)]
    for _ in range(50):
        dtw.push(STREAM)
    assert [array.nbytes for array in (*dtw._cost, *dtw._path)] == sizes
