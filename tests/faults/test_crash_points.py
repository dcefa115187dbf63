"""Whatever dies or fails while a bank changes, the bank is the old or the new one. `EDGED_CRASH_POINTS=all` tries all.

`python -m tests.faults.crash_points` tries every point and prints the counts; here a fixed sample runs.
"""

import os

import pytest

from tests.faults.crash_points import MODES, OPERATIONS, Plant, compiled_library, fast_directory

SAMPLE = 60


@pytest.fixture(scope="module")
def plant():
    with fast_directory() as root:
        library = compiled_library(root)
        if library is None:
            pytest.skip("no C compiler for the library that injects the faults")
        made = Plant(root, library)
        yield made
        made.close()


def chosen(points):
    """A fixed sample spread over operations, modes and calls, or all."""
    if os.environ.get("EDGED_CRASH_POINTS") == "all":
        return points
    step = len(points) / SAMPLE
    return [points[int(number * step)] for number in range(SAMPLE)]


def test_the_old_or_the_new_bank_whatever_fails(plant):
    points = chosen(list(plant.points()))
    outcomes = {plant.try_point(point) for point in points}
    assert {"killed, old state", "killed, new state", "refused, old state"} <= outcomes
    assert {point.operation for point in points} == set(OPERATIONS)
    assert {point.mode for point in points} == set(MODES[1:])


def test_the_full_run_tries_at_least_500_points(plant):
    assert sum(point.operation in OPERATIONS for point in plant.points()) >= 500


def test_a_change_in_two_steps_would_be_seen(plant):
    kills = [point for point in plant.points_of("two steps", has_reader=False) if point.mode == "kill before"][::3]
    assert 0 < sum(is_caught(plant, point) for point in kills) < len(kills)


def is_caught(plant, point):
    try:
        plant.try_point(point)
    except AssertionError:
        return True
    return False
