from edged.clock import NS_PER_S, FakeClock, StreamClock, rfc3339


def test_a_step_of_the_wall_clock_moves_no_sample_against_another():
    clock = FakeClock(wall_s=1000.0)
    stream = StreamClock(clock, is_live=True)
    clock.advance(2.0)
    stream.arrived(16000)
    assert stream.wall_ns(0) == 1001 * NS_PER_S
    clock.step_wall(3600.0)
    assert stream.wall_ns(16000) - stream.wall_ns(0) == NS_PER_S
    assert stream.wall_ns(0) == 4601 * NS_PER_S


def arrivals(delays_s):
    """A live stream whose seconds arrive with these delays; the time it gives sample 0."""
    clock = FakeClock(wall_s=0.0)
    stream = StreamClock(clock, is_live=True)
    passed_s = 0.0
    for second, delay_s in enumerate(delays_s, start=1):
        due_s = max(passed_s, second + delay_s)
        clock.advance(due_s - passed_s)
        passed_s = due_s
        stream.arrived(16000 * second)
    return stream.wall_ns(0) / NS_PER_S


def test_the_least_delayed_block_sets_the_clock():
    assert arrivals([0.2, 0.04, 0.1, 0.2]) == 0.04


def test_a_stall_of_the_computer_passes_without_moving_the_clock():
    assert arrivals([0.04, 0.04, 3.0, 2.0, 1.0, 0.04]) == 0.04


def test_a_delay_that_stays_is_the_drift_of_the_sound_card():
    assert arrivals([0.04] + [0.3] * 4) == 0.04
    assert arrivals([0.04] + [0.3] * 8) == 0.3


def test_a_file_played_faster_keeps_its_own_time():
    clock = FakeClock(wall_s=0.0)
    stream = StreamClock(clock, is_live=False)
    stream.arrived(0)
    clock.advance(1.0)
    stream.arrived(16000 * 60)
    assert stream.wall_ns(16000 * 60) == 60 * NS_PER_S


def test_time_is_utc_with_milliseconds():
    assert rfc3339(999_000_000) == "1970-01-01T00:00:00.999Z"
