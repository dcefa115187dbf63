import random

from edged.capture.lifecycle import CaptureState, Lifecycle
from edged.config import CaptureSettings

SETTINGS = CaptureSettings(restart_initial_s=0.5, restart_max_s=8.0, restart_jitter=0.0, stable_after_s=60.0)


def lifecycle(settings=SETTINGS):
    return Lifecycle(settings, random.Random(1))


def test_waits_double_up_to_the_longest_and_start_over_after_a_stable_run():
    life = lifecycle()
    waits = []
    for now_s in range(6):
        waits.append(life.failed(float(now_s)))
        life.restart()
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    life.first_frame(100.0)
    assert life.failed(130.0) == 8.0
    life.restart()
    life.first_frame(200.0)
    assert life.failed(260.0) == 0.5


def test_waits_vary_so_that_devices_do_not_come_back_together():
    life = lifecycle(SETTINGS.model_copy(update={"restart_jitter": 0.2}))
    waits = [life.failed(0.0) for _ in range(200)][10:]
    assert 6.4 <= min(waits) < 7.0
    assert 9.0 < max(waits) <= 9.6


def test_a_device_that_is_not_there_is_absent_until_it_runs():
    life = lifecycle()
    assert [life.failed(0.0, absent=True) for _ in range(3)] == [0.5, 1.0, 2.0]
    assert life.state is CaptureState.ABSENT
    life.restart()
    life.first_frame(9.0)
    assert life.state is CaptureState.RUNNING


def test_a_permanent_failure_is_final():
    life = lifecycle()
    life.failed(0.0, permanent=True)
    life.stopped()
    assert life.state is CaptureState.FAILED


def test_a_thousand_cycles_never_leave_the_machine():
    life = lifecycle()
    for cycle in range(1000):
        life.first_frame(float(cycle))
        assert life.failed(cycle + 0.5) <= 8.0
        assert life.state is CaptureState.WAITING
        life.restart()
    assert life.state is CaptureState.STARTING
