"""Streaming DTW equals the full matrix, for any chunking, whatever else is enrolled and however long it runs."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.score.dtw import BLOCK_FRAMES, StreamingDtw, offline_dtw, unit_rows

RNG = np.random.default_rng(0)
STREAM = RNG.standard_normal((60, 6)).astype(np.float32)
TEMPLATES = [RNG.standard_normal((n, 6)).astype(np.float32) for n in (1, 2, 5, 11)]


def columns(templates, cuts=(), stream=STREAM):
    dtw, parts, start = StreamingDtw(templates), [], 0
    for end in [*cuts, len(stream)]:
        parts.append(dtw.push(stream[start:end]))
        assert parts[-1].frame == start
        start = end
    return np.concatenate([p.distances for p in parts]), np.concatenate([p.starts for p in parts])


def assert_equals_the_full_matrix(distances, starts, templates, stream):
    for index, template in enumerate(templates):
        expected, expected_starts = offline_dtw(template, stream)
        np.testing.assert_allclose(distances[:, index], expected, atol=1e-6)
        reached = np.isfinite(expected)
        np.testing.assert_array_equal(starts[reached, index], expected_starts[reached])
        assert not starts[~reached, index].any()


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_equals_the_full_matrix_for_any_chunking(cuts):
    assert_equals_the_full_matrix(*columns(TEMPLATES, sorted(cuts)), TEMPLATES, STREAM)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 60))
def test_equals_the_full_matrix_for_any_templates(seed, lengths, n_frames):
    rng = np.random.default_rng(seed)
    templates = [rng.standard_normal((n, 5)).astype(np.float32) for n in lengths]
    stream = rng.standard_normal((n_frames, 5)).astype(np.float32)
    assert_equals_the_full_matrix(*columns(templates, stream=stream), templates, stream)


def test_long_templates_are_as_exact():
    template, stream = (RNG.standard_normal((n, 8)).astype(np.float32) for n in (500, 620))
    assert_equals_the_full_matrix(*columns([template], stream=stream), [template], stream)


def test_a_template_inside_the_stream_is_found_at_distance_zero():
    distances, starts = columns([STREAM[20:35]])
    assert distances[34, 0] == pytest.approx(0.0, abs=1e-6)
    assert starts[34, 0] == 20
    assert (distances >= 0.0).all()


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


@pytest.mark.parametrize("n_before", [1, 7, 100, 1000])
def test_nothing_older_than_two_templates_matters(n_before):
    past = RNG.standard_normal((n_before, 6)).astype(np.float32)
    distances, starts = columns(TEMPLATES, stream=np.concatenate([past, STREAM, STREAM]))
    fresh, fresh_starts = columns(TEMPLATES, stream=np.concatenate([STREAM, STREAM]))
    settled = 2 * max(map(len, TEMPLATES))
    np.testing.assert_allclose(distances[n_before + settled :], fresh[settled:], atol=1e-6)
    np.testing.assert_array_equal(starts[n_before + settled :] - n_before, fresh_starts[settled:])


@pytest.mark.parametrize("years", [0.001, 1, 100, 10_000])
def test_frames_are_counted_for_as_long_as_it_takes(years):
    """A counter in a fixed number of bits would wrap: here it has already run for years."""
    dtw, fresh = StreamingDtw(TEMPLATES), StreamingDtw(TEMPLATES)
    for _ in range(5):
        dtw.push(STREAM)
    late = int(years * 365 * 86_400 * 62.5)
    dtw._frame += late
    dtw._origin += late
    for _ in range(5):
        fresh.push(STREAM)
    for _ in range(20):
        mine, other = dtw.push(STREAM), fresh.push(STREAM)
        assert mine.frame == other.frame + late
        np.testing.assert_array_equal(mine.distances, other.distances)
        np.testing.assert_array_equal(mine.starts, other.starts + late)


def test_memory_does_not_grow():
    dtw = StreamingDtw(TEMPLATES)
    dtw.push(STREAM)
    tracemalloc.start()
    try:
        dtw.push(STREAM)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(300):
            dtw.push(STREAM)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1_000
    assert peak - before < 50_000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 0.0])
def test_a_frame_that_says_nothing_costs_one_and_does_no_lasting_harm(value):
    sick = STREAM.copy()
    sick[30:33] = value
    sick[31, 0] = 1.0
    distances, _ = columns(TEMPLATES, stream=sick)
    assert not np.isnan(distances).any()
    assert (distances >= 0.0).all()
    assert distances[[30, 32], 0] == pytest.approx([1.0, 1.0], abs=1e-6)
    healthy, _ = columns(TEMPLATES)
    np.testing.assert_allclose(distances[33 + 22 :], healthy[33 + 22 :], atol=1e-6)


def test_silence_throughout_is_at_distance_one():
    distances, starts = columns(TEMPLATES, stream=np.zeros((200, 6), dtype=np.float32))
    np.testing.assert_array_equal(distances[11:], 1.0)
    assert (np.arange(11, 200)[:, None] - starts[11:] < 22).all()


def test_no_frames_and_no_templates():
    assert StreamingDtw(TEMPLATES).push(STREAM[:0]).distances.shape == (0, len(TEMPLATES))
    assert StreamingDtw([]).push(np.zeros((3, 1), dtype=np.float32)).distances.shape == (3, 0)


def test_blocks_do_not_depend_on_their_neighbours():
    whole, _ = columns(TEMPLATES)
    split, _ = columns(TEMPLATES, cuts=range(BLOCK_FRAMES, len(STREAM), BLOCK_FRAMES))
    np.testing.assert_array_equal(whole, split)


def test_unit_rows_of_anything():
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0], [1e30, 1e30]], dtype=np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [0, 0], [0, 0], [0, 0]], atol=1e-7)
