"""Severity grows with the peak and with time, and does not depend on the scale of the scores."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.decide.severity import LEVELS, severity

TIMES_S = st.floats(0.0, 1e6)
SCORES = st.floats(-100.0, 1e6)


@pytest.mark.parametrize(
    ("peak", "duration_s", "expected"),
    [
        (6.1, 0.0, "low"),
        (8.9, 599.0, "low"),
        (8.9, 600.0, "medium"),
        (9.0, 0.0, "medium"),
        (17.9, 599.0, "medium"),
        (17.9, 600.0, "high"),
        (18.0, 0.0, "high"),
        (6.1, 3600.0, "high"),  # not heard any better, but for an hour
        (1e9, 1e9, "high"),
    ],
)
def test_peak_and_time_raise_it(peak, duration_s, expected):
    assert severity(peak, 6.0, 0.0, duration_s) == expected


def rank(*arguments):
    return LEVELS.index(severity(*arguments))


@given(SCORES, SCORES, TIMES_S, TIMES_S, st.floats(-10.0, 10.0), st.floats(-10.0, 50.0))
def test_it_never_falls_while_an_alarm_lasts(peak, other_peak, time_s, other_time_s, typical, threshold):
    low, high = sorted((peak, other_peak))
    soon, late = sorted((time_s, other_time_s))
    assert rank(low, threshold, typical, soon) <= rank(high, threshold, typical, late)


def test_it_is_relative_to_the_distance_of_the_threshold_from_normal():
    assert severity(30.0, 20.0, 0.0, 0.0) == severity(3.0 + 7.0, 2.0 + 7.0, 7.0, 0.0) == "medium"


def test_a_threshold_at_or_below_normal_is_no_division_by_nothing():
    assert severity(0.1, 0.0, 0.0, 0.0) == "low"
    assert severity(5.0, 0.0, 3.0, 0.0) == "high"
