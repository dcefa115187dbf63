import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from edged.capture.align import Alignment
from edged.capture.framing import ABSENT, PERMANENT, REALTIME, Frame, FrameKind, FrameReader, FramingError, encode
from edged.capture.lifecycle import CaptureState
from edged.capture.source import SourceSpec
from edged.capture.supervisor import Supervisor
from edged.config import CaptureSettings
from edged.errors import AudioError

FAST = CaptureSettings(restart_initial_s=0.05, restart_max_s=0.1)
MICROPHONE = SourceSpec("microphone", "x")


def block_frame(sample, n=160, rate_hz=16000, lost=0, value=0.0):
    payload = np.full((n, 1), value, np.float32).tobytes()
    return Frame(FrameKind.BLOCK, rate_hz, 1, sample, lost, payload=payload)


class Sink:
    def __init__(self):
        self.blocks, self.changes = [], []
        self.some = threading.Condition()

    def block(self, block):
        with self.some:
            self.blocks.append(block)
            self.some.notify_all()

    def finished(self, end, rate_hz):
        self.end, self.rate_hz = end, rate_hz

    def changed(self, change):
        with self.some:
            self.changes.append(change)
            self.some.notify_all()

    def wait_for(self, condition, timeout_s=30.0):
        with self.some:
            assert self.some.wait_for(condition, timeout_s)

    def states(self):
        return [change.state for change in self.changes]


class FakeChild:
    """Says what it is given, then closes (or hangs until it is ended)."""

    pid = 0

    def __init__(self, frames, hang=False):
        self._read_fd, self._write_fd = os.pipe()
        self.read = FrameReader(self._read_fd).read
        os.write(self._write_fd, b"".join(map(encode, frames)))
        if not hang:
            self.terminate()

    def terminate(self):
        if self._write_fd >= 0:
            os.close(self._write_fd)
            self._write_fd = -1

    def end(self):
        self.terminate()
        os.close(self._read_fd)
        return "fake"


def run(spec, children, settings=FAST):
    sink = Sink()
    lives = iter(children)
    supervisor = Supervisor(spec, sink, settings, start_child=lambda _: next(lives)())
    supervisor.start()
    assert supervisor.join(30.0)
    return supervisor, sink


FORMAT = Frame(FrameKind.FORMAT, 16000, 1)
END = Frame(FrameKind.END, 16000, 1, 320)


def test_a_source_that_ends_is_not_started_again():
    spec = SourceSpec("file", "x.wav")
    supervisor, sink = run(spec, [lambda: FakeChild([FORMAT, block_frame(0), block_frame(160), END])])
    assert sink.states() == [CaptureState.STARTING, CaptureState.RUNNING, CaptureState.ENDED]
    assert [b.sample for b in sink.blocks] == [0, 160]
    assert supervisor.is_over
    assert sink.end == 320
    assert supervisor.restarts == 0


def test_what_the_child_declared_permanent_is_final_with_its_own_words():
    error = Frame(FrameKind.ERROR, flags=PERMANENT, payload=b"x.wav: truncated")
    supervisor, sink = run(SourceSpec("file", "x.wav"), [lambda: FakeChild([error])])
    assert supervisor.state is CaptureState.FAILED
    assert "x.wav: truncated" in [change.reason for change in sink.changes]


def test_noise_bad_indices_and_early_deaths_are_failures_that_are_tried_again():
    children = [
        lambda: FakeChild([]),
        lambda: FakeChild([FORMAT, block_frame(7)]),
        lambda: FakeChild([FORMAT, block_frame(0), block_frame(161)]),
        lambda: FakeChild([Frame(FrameKind.ERROR, payload=b"device busy")]),
        lambda: FakeChild([FORMAT, END]),
    ]
    supervisor, sink = run(MICROPHONE, children)
    reasons = [change.reason for change in sink.changes if change.state is CaptureState.WAITING]
    assert supervisor.restarts == 4
    assert ["gone" in reasons[0], "does not run on" in reasons[1], "does not run on" in reasons[2]] == [True] * 3
    assert reasons[3] == "device busy"


def test_a_silent_child_is_replaced():
    settings = FAST.model_copy(update={"start_timeout_s": 0.05})
    supervisor, sink = run(MICROPHONE, [lambda: FakeChild([], hang=True), lambda: FakeChild([FORMAT, END])], settings)
    assert supervisor.restarts == 1
    assert "sent nothing in time" in sink.changes[1].reason


def test_stop_ends_a_hanging_child_and_delivers_what_it_sent():
    sink = Sink()
    child = FakeChild([FORMAT, block_frame(0)], hang=True)
    supervisor = Supervisor(MICROPHONE, sink, FAST, start_child=lambda _: child)
    supervisor.start()
    sink.wait_for(lambda: sink.blocks)
    supervisor.stop()
    assert supervisor.join(10.0)
    assert supervisor.state is CaptureState.STOPPED


def test_a_live_device_loses_what_it_would_have_delivered_while_its_child_was_away():
    alignment = Alignment(MICROPHONE)
    alignment.new_child(0.0)
    assert alignment.block(block_frame(0), 10.0).lost_before == 0
    assert alignment.block(block_frame(160), 10.01).sample == 160
    alignment.new_child(11.0)
    again = alignment.block(block_frame(0), 12.01)
    assert (again.sample, again.lost_before) == (320 + 32000 - 160, 31840)
    after = alignment.block(block_frame(260, lost=100), 12.02)
    assert (after.sample, after.lost_before) == (again.end + 100, 100)
    assert alignment.lost == 31940


def test_time_goes_on_for_a_pipe_whose_writer_is_gone_and_not_for_one_whose_reader_was_killed():
    alignment = Alignment(SourceSpec("pcm", "/fifo", rate_hz=16000, channels=1, reopens=True))
    alignment.new_child(0.0)
    alignment.block(block_frame(0), 10.0)
    alignment.new_child(11.0)
    assert alignment.block(block_frame(0), 12.0).lost_before == 1
    alignment.absent()
    alignment.new_child(12.5)
    assert alignment.block(block_frame(0), 13.0).lost_before == 16000 - 160
    alignment.new_child(13.5)
    assert alignment.block(block_frame(0), 14.0).lost_before == 1


def test_a_device_that_returns_with_another_rate_keeps_the_time():
    alignment = Alignment(MICROPHONE)
    alignment.new_child(0.0)
    alignment.block(block_frame(0, n=16000), 1.0)
    alignment.new_child(1.0)
    block = alignment.block(block_frame(0, n=480, rate_hz=48000), 3.01)
    assert (block.sample / 48000, block.rate_hz) == (3.0, 48000)


def test_a_file_played_at_twice_the_time_goes_on_where_it_would_be():
    alignment = Alignment(SourceSpec("file", "x", speed=2.0))
    alignment.new_child(0.0)
    alignment.block(block_frame(0), 5.0)
    spec = alignment.new_child(5.5)
    assert spec.start_frame == 160 + 16000
    assert alignment.block(block_frame(16160), 5.6).lost_before == 16000


@pytest.mark.parametrize("shape", [{"rate_hz": 48000}, {"channels": 2}])
def test_a_child_that_changes_its_rate_or_channels_is_replaced(shape):
    """An offset in samples of one rate was added to an index of another: more samples than the device had."""
    alignment = Alignment(MICROPHONE)
    alignment.new_child(0.0)
    alignment.block(block_frame(0), 0.0)
    with pytest.raises(FramingError, match="changed its rate or its channels"):
        alignment.block(replace(block_frame(160), **shape), 0.0)
    alignment.new_child(1.0)
    assert alignment.block(replace(block_frame(0), **shape), 1.0).lost_before > 0


def test_overruns_are_counted_and_what_went_by_between_children_is_none():
    children = [
        lambda: FakeChild([FORMAT, block_frame(0), block_frame(180, lost=20), block_frame(340)]),
        lambda: FakeChild([FORMAT, block_frame(0), END]),
    ]
    supervisor, _ = run(MICROPHONE, children)
    assert supervisor.overruns == 1
    assert supervisor.lost_frames > 20


def test_a_device_that_is_not_there_is_absent_and_tried_again():
    absent = Frame(FrameKind.ERROR, flags=ABSENT, payload=b"microphone 'x' is not there")
    real_time = replace(FORMAT, flags=REALTIME)
    supervisor, sink = run(MICROPHONE, [lambda: FakeChild([absent]), lambda: FakeChild([real_time, END])])
    told = [(c.state, c.reason) for c in sink.changes if c.state is CaptureState.ABSENT]
    assert told == [(CaptureState.ABSENT, "microphone 'x' is not there")]
    assert supervisor.is_realtime


def test_a_microphone_never_fails_for_good():
    """It came back with one channel where a stream takes the second: the stream refuses until it is as it was."""

    class Narrow(Sink):
        def block(self, block):
            if not self.blocks:
                self.blocks.append(block)
                raise AudioError("channel 1 of a device with 1 channels")
            super().block(block)

    lives = iter([FakeChild([FORMAT, block_frame(0)]), FakeChild([FORMAT, block_frame(0), END])])
    sink = Narrow()
    supervisor = Supervisor(MICROPHONE, sink, FAST, start_child=lambda _: next(lives))
    supervisor.start()
    assert supervisor.join(30.0)
    assert (supervisor.state, len(sink.blocks)) == (CaptureState.ENDED, 2)


def test_an_index_that_does_not_run_on_is_refused():
    alignment = Alignment(MICROPHONE)
    with pytest.raises(FramingError):
        alignment.block(block_frame(100, lost=10), 0.0)


@pytest.mark.parametrize("speed", [0.0, 4.0])
def test_a_real_child_killed_with_sigkill_leaves_every_index_right(tmp_path, speed):
    """Sample k of the file holds the number k, so each block says itself where it belongs."""
    n_samples = 16000 * 8
    soundfile.write(tmp_path / "ramp.wav", np.arange(n_samples, dtype=np.float32), 16000, subtype="FLOAT")
    sink = Sink()
    supervisor = Supervisor(SourceSpec("file", str(tmp_path / "ramp.wav"), speed=speed), sink, FAST)
    if speed == 0.0:
        gate = threading.Event()
        plain = sink.block
        sink.block = lambda block: (plain(block), gate.wait(30.0))
    supervisor.start()
    sink.wait_for(lambda: len(sink.blocks) >= 1)
    os.kill(supervisor.child_pid, signal.SIGKILL)
    if speed == 0.0:
        gate.set()
    assert supervisor.join(60.0)
    assert supervisor.restarts == 1
    end = 0
    for block in sink.blocks:
        assert block.sample - block.lost_before == end
        np.testing.assert_array_equal(block.frames[:, 0], np.arange(block.sample, block.end, dtype=np.float32))
        end = block.end
    lost = sum(block.lost_before for block in sink.blocks)
    assert end == n_samples
    assert (lost == 0) if speed == 0.0 else (0 < lost < n_samples)
