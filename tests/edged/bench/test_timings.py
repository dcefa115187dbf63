"""What a call took: its time, and its processor time apart from waiting."""

import time

import pytest

from edged.bench.timings import Timings


def test_a_call_is_timed_and_its_result_given():
    timings = Timings()
    assert timings.time(sorted, [2, 1], reverse=True) == [2, 1]
    assert len(timings.wall_s) == len(timings.cpu_s) == 1


def test_waiting_takes_time_but_no_processor():
    timings = Timings()
    timings.time(time.sleep, 0.05)
    assert timings.wall_s[0] >= 0.05
    assert timings.cpu_s[0] < timings.wall_s[0] / 2


def test_the_rest_of_a_call_is_never_less_than_nothing():
    whole, part = Timings([3.0, 1.0], [2.0, 0.5]), Timings([1.0, 1.5], [0.5, 1.0])
    rest = whole.beyond(part)
    assert rest.wall_s == [2.0, 0.0]
    assert rest.cpu_s == [1.5, 0.0]


def test_percentiles():
    timings = Timings([0.001 * n for n in range(101)], [0.0] * 101)
    assert timings.percentile_s(50) == pytest.approx(0.05)
    assert timings.percentile_s(99) == pytest.approx(0.099)
    assert Timings().percentile_s(50) == 0.0
