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


def test_a_live_stream_follows_the_devices_drift_but_not_the_jitter_of_arrival():
    clock = FakeClock(wall_s=0.0)
    stream = StreamClock(clock, is_live=True)
    stream.arrived(0)
    clock.advance(1.1)
    stream.arrived(16000)
    assert stream.wall_ns(16000) == NS_PER_S
    clock.advance(1.0)
    stream.arrived(16000 + 8000)
    assert stream.wall_ns(24000) == round(2.1 * NS_PER_S)


def test_a_file_played_faster_keeps_its_own_time():
    clock = FakeClock(wall_s=0.0)
    stream = StreamClock(clock, is_live=False)
    stream.arrived(0)
    clock.advance(1.0)
    stream.arrived(16000 * 60)
    assert stream.wall_ns(16000 * 60) == 60 * NS_PER_S


def test_time_is_utc_with_milliseconds():
    assert rfc3339(999_000_000) == "1970-01-01T00:00:00.999Z"
