"""The keyword decision equals sorting all candidates, with a bounded delay."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edged.decide.keyword import Candidate, KeywordDecider

N_FRAMES = 60


def decide(distances, starts, limits, *, hold=5, cuts=(), shortest=(1.0,)):
    decider, found, start = KeywordDecider(shortest, limits, hold), [], 0
    for end in [*cuts, len(distances)]:
        found += decider.push(start, distances[start:end], starts[start:end])
        start = end
    return found + decider.flush(len(distances))


def one_dip(at=30, start=20, depth=0.2):
    distances = np.full((N_FRAMES, 1), 0.9)
    distances[at - 2 : at + 3, 0] = [0.6, 0.4, depth, 0.4, 0.6]
    return distances, np.full((N_FRAMES, 1), start)


def test_a_dip_below_the_limit_is_one_match():
    assert decide(*one_dip(), limits=[0.5]) == [Candidate(0, 20, 31, 0.2)]
    assert decide(*one_dip(), limits=[0.1]) == []


def test_it_is_reported_after_the_hold_and_not_before():
    distances, starts = one_dip()
    decider = KeywordDecider([4.0], [0.5], hold_frames=5)
    reported = [f for f in range(N_FRAMES) if decider.push(f, distances[f : f + 1], starts[f : f + 1])]
    assert reported == [36]


def test_too_short_for_its_word():
    assert decide(*one_dip(), limits=[0.5], shortest=(23.0,)) == []
    assert len(decide(*one_dip(), limits=[0.5], shortest=(22.0,))) == 1


def test_the_better_of_two_overlapping_words_wins():
    first, starts = one_dip(at=30, depth=0.3)
    second, _ = one_dip(at=33, depth=0.1)
    distances = np.concatenate([first, second], axis=1)
    found = decide(distances, np.repeat(starts, 2, axis=1), limits=[0.5, 0.5], shortest=(1.0, 1.0))
    assert [(m.word, m.distance) for m in found] == [(1, 0.1)]


def test_words_that_touch_are_both_found():
    first, starts = one_dip(at=30, start=20, depth=0.3)
    second, later_starts = one_dip(at=38, start=28, depth=0.1)
    distances = np.concatenate([first, second], axis=1)
    both = np.concatenate([starts, later_starts], axis=1)
    found = decide(distances, both, limits=[0.5, 0.5], shortest=(1.0, 1.0))
    assert [(m.word, m.frame_start, m.frame_end) for m in found] == [(0, 20, 31), (1, 28, 39)]


def test_at_the_end_of_the_signal_the_last_word_counts():
    distances, starts = one_dip(at=30)
    assert decide(distances[:31], starts[:31], limits=[0.5]) == [Candidate(0, 20, 31, 0.2)]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, N_FRAMES), max_size=8))
def test_equals_sorting_all_candidates_for_any_chunking(seed, cuts):
    rng = np.random.default_rng(seed)
    distances = rng.uniform(0.0, 1.0, (N_FRAMES, 3))
    starts = np.maximum(0, np.arange(N_FRAMES)[:, None] - rng.integers(1, 12, (N_FRAMES, 3)))
    limits, shortest = [0.6, 0.5, 0.4], (24.0, 6.0, 10.0)
    found = decide(distances, starts, limits, hold=N_FRAMES, cuts=sorted(cuts), shortest=shortest)
    assert sorted(found, key=lambda m: m.distance) == slow_decision(distances, starts, limits, shortest)


def slow_decision(distances, starts, limits, shortest):
    padded = np.pad(distances, ((2, 1), (0, 0)), constant_values=np.inf)
    kept = []
    for distance, frame, word in sorted((d, f, w) for (f, w), d in np.ndenumerate(distances)):
        is_minimum = padded[frame + 1, word] >= distance < padded[frame + 3, word]
        candidate = Candidate(word, int(starts[frame, word]), frame + 1, float(distance))
        long_enough = candidate.frame_end - candidate.frame_start >= shortest[word] / 2
        if is_minimum and long_enough and distance < limits[word] and not any(candidate.rivals(k) for k in kept):
            kept.append(candidate)
    return kept


def eager(n_words=1, limit=0.5, hold=8, frames_at_once=1):
    return KeywordDecider([4.0] * n_words, [limit] * n_words, hold, eager=True, frames_at_once=frames_at_once)


def reports(decider, distances, starts):
    """(frame of the report, match) for each."""
    return [
        (frame, match)
        for frame in range(len(distances))
        for match in decider.push(frame, distances[frame : frame + 1], starts[frame : frame + 1])
    ]


def test_alone_it_is_reported_as_soon_as_the_distance_rises():
    assert reports(eager(), *one_dip()) == [(31, Candidate(0, 20, 31, 0.2))]


def test_what_came_with_the_frame_is_looked_at_before_it_is_reported():
    """The distance rises at 29 and falls again at 31, which the same four frames show."""
    distances, starts = one_dip(at=30, depth=0.1)
    distances[28:32, 0] = 0.3, 0.35, 0.1, 0.2
    assert [(frame, match.distance) for frame, match in reports(eager(), distances, starts)] == [(29, 0.3)]
    assert reports(eager(frames_at_once=4), distances, starts) == [(31, Candidate(0, 20, 31, 0.1))]


def test_a_rival_in_sight_is_waited_for():
    first, starts = one_dip(at=30, depth=0.3)
    second, _ = one_dip(at=32, depth=0.1)
    distances = np.concatenate([first, second], axis=1)
    both = np.repeat(starts, 2, axis=1)
    assert reports(eager(2), distances, both) == [(33, Candidate(1, 20, 33, 0.1))]
    late, _ = one_dip(at=38, depth=0.1)  # nothing is known of it when the first rises
    assert [m.word for _, m in reports(eager(2), np.concatenate([first, late], axis=1), both)] == [0]


def test_a_rival_that_gets_no_better_delays_by_no_more_than_the_hold():
    first, starts = one_dip(at=30, depth=0.1)
    distances = np.concatenate([first, np.full_like(first, 0.9)], axis=1)
    distances[25:50, 1] = np.linspace(0.45, 0.2, 25)
    assert reports(eager(2), distances, np.repeat(starts, 2, axis=1))[0] == (39, Candidate(0, 20, 31, 0.1))


def test_one_word_is_one_event():
    """Its distance falls twice, as with a long vowel: the second minimum shares most of its path with the first."""
    first, starts = one_dip(at=30)
    again, _ = one_dip(at=36, depth=0.1)
    found = reports(eager(), np.minimum(first, again), starts)
    assert [frame for frame, _ in found] == [31]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, N_FRAMES), max_size=8), st.sampled_from([1, 4]))
def test_eager_decisions_do_not_depend_on_the_chunking(seed, cuts, frames_at_once):
    rng = np.random.default_rng(seed)
    distances = rng.uniform(0.0, 1.0, (N_FRAMES, 3))
    starts = np.maximum(0, np.arange(N_FRAMES)[:, None] - rng.integers(1, 12, (N_FRAMES, 3)))
    parts, whole = eager(3, frames_at_once=frames_at_once), eager(3, frames_at_once=frames_at_once)
    found, start = [], 0
    for end in [*sorted(cuts), N_FRAMES]:
        found += parts.push(start, distances[start:end], starts[start:end])
        start = end
    assert found + parts.flush(N_FRAMES) == whole.push(0, distances, starts) + whole.flush(N_FRAMES)
    for index, match in enumerate(found):
        assert not any(match.rivals(other) for other in found[:index])


def test_memory_and_delay_are_bounded_when_ever_better_candidates_come():
    """Each overlaps the last, so that waiting for the best would never end."""
    n_frames = 20_000
    distances = np.full((n_frames, 1), 0.5)
    distances[1::2, 0] = np.linspace(0.45, 0.1, n_frames // 2)
    starts = np.maximum(0, np.arange(n_frames) - 30)[:, None]
    for decider in (KeywordDecider([20.0], [0.5], 60), eager(hold=60)):
        reported = 0
        for frame in range(n_frames):
            reported += len(decider.push(frame, distances[frame : frame + 1], starts[frame : frame + 1]))
            assert len(decider._pending) + len(decider._decided) < 200
        assert len(decider.flush(n_frames)) + reported > 0


def test_distances_that_are_no_numbers_are_no_candidates():
    distances, starts = one_dip()
    for value in (np.nan, np.inf):
        sick = np.where(np.arange(N_FRAMES)[:, None] < 10, value, distances)
        assert decide(sick, starts, limits=[0.5]) == [Candidate(0, 20, 31, 0.2)]


def two_words(first, second):
    """Two words that dip on the same stretch, one frame apart."""
    (one, starts), (other, _) = one_dip(at=30, depth=first), one_dip(at=31, depth=second)
    return np.concatenate([one, other], axis=1), np.repeat(starts, 2, axis=1)


def test_a_match_that_is_not_upheld_displaces_no_rival():
    # a match that a counter-example refused had won against the word that was said: neither was reported
    for is_eager in (False, True):
        for first, second in ((0.1, 0.3), (0.3, 0.1)):
            refused = int(second < first)
            allowed = {1 - refused}
            decider = KeywordDecider(
                [4.0, 4.0],
                [0.5, 0.5],
                5,
                eager=is_eager,
                is_upheld=lambda match, allowed=allowed: match.word in allowed,
            )
            distances, starts = two_words(first, second)
            found = decider.push(0, distances, starts) + decider.flush(len(distances))
            assert [match.word for match in found] == [1 - refused]


def test_a_word_that_is_not_upheld_does_not_try_again_on_the_same_stretch():
    asked = []
    distances, starts = one_dip(depth=0.1)
    distances[33:38, 0] = [0.4, 0.3, 0.2, 0.4, 0.9]
    decider = KeywordDecider([4.0], [0.5], 5, is_upheld=lambda match: bool(asked.append(match)))
    assert decider.push(0, distances, starts) + decider.flush(len(distances)) == []
    assert [match.distance for match in asked] == [0.1]


def test_candidates_wait_as_long_as_a_path_of_the_longest_template_may_be():
    """Twice the mean length of a word's templates was shorter: a word whose rival lost was given up before."""
    distances, starts = np.full((250, 3), 0.9), np.zeros((250, 3), np.int64)
    for word, (start, end, depth) in enumerate([(20, 40, 0.3), (25, 85, 0.2), (50, 130, 0.1)]):  # each rivals the next
        distances[end - 1 : end + 2, word], starts[:, word] = [0.4, depth, 0.4], start
    for longest_frames, expected in ((60, [0, 2]), (None, [2])):
        decider = KeywordDecider([20.0] * 3, [0.35] * 3, 50, longest_frames=longest_frames)
        found = decider.push(0, distances, starts) + decider.flush(250)
        assert sorted(match.word for match in found) == expected


def test_what_is_left_to_another_decider_is_not_told_of_a_worse_match_before():
    """Decided once in four frames, a candidate may wait there while its own word gets nearer still."""
    distances, starts = np.full((28, 1), 0.9), np.full((28, 1), 8)
    distances[18:28, 0] = [0.5, 0.45, 0.4, 0.42, 0.35, 0.3, 0.2, 0.1, 0.3, 0.6]
    decider = KeywordDecider([10.0], [0.6], 8, eager=True, frames_at_once=4)
    assert decider.push(0, distances[:24], starts[:24]) == []
    assert decider.flush(24, is_over=False) == []
    after = KeywordDecider([10.0], [0.6], 8, eager=True, frames_at_once=4)
    after.follow(distances[:24], starts[:24], [])
    assert after.push(24, distances[24:], starts[24:]) == [Candidate(0, 8, 26, 0.1)]
    # what rises is told, and nothing twice
    rising = KeywordDecider([10.0], [0.6], 8, eager=True, frames_at_once=4)
    assert rising.push(0, distances[:22], starts[:22]) == []
    assert rising.flush(22, is_over=False) == [Candidate(0, 8, 21, 0.4)]
