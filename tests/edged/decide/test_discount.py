"""What both hear is taken off, and only that."""

from hypothesis import given
from hypothesis import strategies as st

from edged.decide.discount import REMEMBERED_SEGMENTS, Excesses, discount

SCORES = st.floats(-20.0, 200.0)
SHARES = st.floats(0.0, 2.0)


@given(SCORES, st.floats(-5.0, 5.0), SCORES, SHARES)
def test_a_discount_never_makes_a_score_better_than_normal_or_worse(near, typical, far, share):
    lowered = near - discount(near, typical, far, share)
    assert lowered <= near
    assert lowered >= min(near, typical) - 1e-9


@given(SCORES, SHARES)
def test_without_a_far_score_or_excess_nothing_changes(near, share):
    assert discount(near, 0.0, None, share) == 0.0
    assert discount(near, 0.0, 0.0, share) == 0.0


@given(SCORES, st.floats(0.0, 50.0), st.floats(0.0, 50.0), SHARES)
def test_more_in_the_hall_never_takes_off_less(near, far, other_far, share):
    low, high = sorted((far, other_far))
    assert discount(near, 0.0, low, share) <= discount(near, 0.0, high, share)


def heard(*segments, epoch=0):
    excesses = Excesses()
    for score, start, end in segments:
        excesses.add(score, 1.0, start, end, epoch)
    return excesses


def test_the_same_segment_counts_above_its_typical_score():
    excesses = heard((5.0, 0, 100), (0.0, 25, 125))
    assert excesses.at(0, 100, 0) == 4.0
    assert excesses.at(25, 125, 0) == 0.0


def test_after_a_gap_the_latest_that_overlaps_by_half_counts():
    excesses = heard((5.0, 0, 100), (7.0, 40, 140), (9.0, 80, 180))
    assert excesses.at(50, 150, 0) == 6.0
    assert excesses.at(30, 130, 0) == 4.0
    assert excesses.at(130, 230, 0) == 8.0
    assert excesses.at(131, 231, 0) is None
    assert excesses.at(-60, 40, 0) is None


def test_what_ends_later_does_not_count():
    assert heard((5.0, 10, 110)).at(0, 100, 0) is None


def test_another_life_of_the_clock_does_not_count():
    assert heard((5.0, 0, 100)).at(0, 100, 1) is None


def test_memory_is_bounded():
    excesses = heard(*((2.0, i, i + 100) for i in range(10_000)))
    assert len(excesses._heard) == REMEMBERED_SEGMENTS
