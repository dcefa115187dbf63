"""Near misses: one for each event, the nearest of them, however the stream is cut; matches counted and not kept."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.decide.near_misses import FARTHEST, NearMissCollector, NearMisses, merged

FRAME_S = 0.016
WORD_FRAMES = [20.0, 30.0]


def stream(seed=0, n_frames=2000):
    """Distances that dip now and then, and starts of paths as long as the word."""
    rng = np.random.default_rng(seed)
    smooth = np.apply_along_axis(
        lambda c: np.convolve(c, np.ones(9) / 9, "same"), 0, rng.uniform(0.3, 1.5, (n_frames, 2))
    )
    starts = np.maximum(0, np.arange(n_frames)[:, None] + 1 - np.array(WORD_FRAMES, dtype=int))
    return smooth, starts


def collected(distances, starts, cuts=(), limits=(0.0, 0.0), **options):
    collector = NearMissCollector(WORD_FRAMES, FRAME_S, limits, **options)
    edges = [0, *sorted(cuts), len(distances)]
    for first, last in itertools.pairwise(edges):
        collector.push(first, distances[first:last], starts[first:last])
    collector.reset()
    return collector.take()


def brute_force(distances, starts, word):
    """Minima one after the other; those within three fifths of a word of the best so far belong to its event."""
    events = []
    column = np.concatenate([[np.inf, np.inf], distances[:, word], [np.inf]])
    for t in range(2, len(column) - 1):
        is_minimum = column[t] <= column[t - 1] and column[t] < column[t + 1] and column[t] < FARTHEST
        frame = t - 2
        if not is_minimum or frame + 1 - starts[frame, word] < WORD_FRAMES[word] / 2:
            continue
        if events and frame - events[-1][0] <= 0.6 * WORD_FRAMES[word]:
            events[-1] = min(events[-1], (frame, column[t]), key=lambda event: event[1])
        else:
            events.append((frame, column[t]))
    return sorted(distance for _, distance in events)


@given(st.sets(st.integers(1, 1999), max_size=12), st.integers(0, 20))
def test_any_cutting_of_the_stream_gives_the_events_of_a_plain_loop(cuts, seed):
    distances, starts = stream(seed)
    for word, part in enumerate(collected(distances, starts, cuts, kept=10_000)):
        np.testing.assert_allclose(part.distances, brute_force(distances, starts, word))
        assert part.hours == pytest.approx(2000 * FRAME_S / 3600)
        assert len(part.distances) > 10


def test_only_the_nearest_are_kept_and_it_is_said_up_to_where_they_are_all():
    whole, few = (collected(*stream(), kept=kept)[0] for kept in (10_000, 8))
    assert few.distances.tolist() == whole.distances[:8].tolist()
    assert few.complete_below == few.distances[-1]
    assert whole.complete_below == FARTHEST


def test_what_was_a_match_is_counted_and_not_kept():
    whole = collected(*stream(), kept=10_000)[0]
    limit = float(whole.distances[4])
    part = collected(*stream(), kept=10_000, limits=(limit, 0.0))[0]
    assert (part.matches, part.limit) == (4, limit)
    assert part.distances.tolist() == whole.distances[4:].tolist()


def test_matches_take_nobodys_place():
    """A word that is said all the time would leave no room for what is not the word, and its tail would be unknown."""
    whole = collected(*stream(), kept=10_000)[0]
    limit = float(whole.distances[20])
    part = collected(*stream(), kept=8, limits=(limit, 0.0))[0]
    assert part.matches == 20
    assert part.distances.tolist() == whole.distances[20:28].tolist()


def test_limits_can_change_from_one_part_to_the_next():
    distances, starts = stream()
    collector = NearMissCollector(WORD_FRAMES, FRAME_S, [0.0, 0.0])
    collector.push(0, distances[:1000], starts[:1000])
    before = collector.take([0.9, 0.9])[0]
    collector.push(1000, distances[1000:], starts[1000:])
    after = collector.take()[0]
    assert (before.limit, after.limit) == (0.0, 0.9)
    assert before.matches == 0
    assert (after.distances >= 0.9).all()


def test_paths_shorter_than_half_the_word_are_no_events():
    distances, _ = stream()
    assert not len(collected(distances, np.arange(len(distances))[:, None] - np.array([5, 5]))[0].distances)


def test_nothing_spans_a_gap():
    collector = NearMissCollector([4.0], FRAME_S)
    for dip in (0.5, 0.4):
        collector.push(0, np.array([[2.0], [dip], [2.0]]), np.array([[-9], [-9], [-9]]))
        collector.reset()
    assert collector.take()[0].distances.tolist() == [0.4, 0.5]


def test_memory_is_bounded_whatever_comes():
    collector = NearMissCollector([2.0], FRAME_S, kept=16)
    for first in range(0, 20_000, 100):
        saw = np.where(np.arange(100) % 2, 0.5, 0.9)[:, None]
        collector.push(first, saw, np.full((100, 1), first - 50))
    assert sum(map(len, collector._nearest)) <= 16


def test_parts_of_one_limit_are_merged_as_if_heard_in_one():
    one = NearMisses(0.5, np.array([0.6, 0.8]), 0.9, 0.5, 2)
    other = NearMisses(0.25, np.array([0.7]), 1.0, 0.5, 1)
    both = merged(one, other)
    assert (both.hours, both.matches, both.complete_below) == (0.75, 3, 0.9)
    assert both.distances.tolist() == [0.6, 0.7, 0.8]
    cut = merged(one, other, kept=2)
    assert cut.distances.tolist() == [0.6, 0.7]
    assert cut.complete_below == 0.8
    with pytest.raises(ValueError, match="different limits"):
        merged(one, NearMisses(0.1, np.zeros(0), limit=0.4))


def test_what_is_nearest_on_the_last_frame_before_a_gap_counts():
    # only what rose again was an event: a match that a gap ended was none
    collector = NearMissCollector([4.0], FRAME_S)
    falling = np.array([[1.2], [0.9], [0.5]])
    collector.push(0, falling, np.zeros((3, 1), np.int64))
    assert collector.take()[0].distances.tolist() == []
    collector.reset()
    collector.reset()
    assert collector.take()[0].distances.tolist() == [0.5]


def test_a_collector_that_follows_counts_what_still_gets_nearer_once():
    before, after = NearMissCollector([4.0], FRAME_S), NearMissCollector([4.0], FRAME_S)
    distances, starts = np.array([[1.2], [0.9], [0.5], [0.4], [0.8]]), np.zeros((5, 1), np.int64)
    before.push(0, distances[:3], starts[:3])
    before.reset(is_over=False)
    after.follow(0, distances[:3], starts[:3])
    after.push(3, distances[3:], starts[3:])
    after.reset()
    assert before.take()[0].distances.tolist() == []
    found = after.take()[0]
    assert found.distances.tolist() == [0.4]
    assert found.hours == pytest.approx(2 * FRAME_S / 3600)
