"""Clips of events: copied from the ring when their end was heard, by a thread the worker never waits for."""

import threading

import numpy as np
import pytest

from edged.capture.files import read_clip
from edged.capture.source import DeviceBlock
from edged.config import ClipsSettings
from edged.events.clips import ClipFolder, clip_origin, clip_path
from edged.flow import Detection
from edged.runtime import clips as module
from edged.runtime.clips import MAX_WAITING, ClipSaver
from tests.fakes.monitor import fake_stream

RATE_HZ = 16000
SECOND = RATE_HZ
HEARD = np.rint(np.random.default_rng(0).uniform(-3e4, 3e4, 20 * SECOND)).astype(np.float32) / 32768


def onset(start=2 * SECOND, end=3 * SECOND, kind="onset", onset_sample=None):
    first = start if onset_sample is None else onset_sample
    return Detection(kind, start, end, first, end if kind == "cleared" else None, 2.0, 1.0)


class Bench:
    def __init__(self, tmp_path, **settings):
        self.state, self.told, self.told_something = tmp_path, [], threading.Event()
        self.stream = fake_stream("press", is_live=True)
        options = {"pre_roll_s": 1.0, "post_roll_s": 1.0, "keep_free_mib": 0, **settings}
        self.saver = ClipSaver(tmp_path, ClipsSettings(**options), "b1", self._tell)

    def _tell(self, change):
        self.told.append((change.stream, change.subject, change.state))
        self.told_something.set()

    def hear(self, start_s, end_s, lost=0):
        start, end = round(start_s * SECOND), round(end_s * SECOND)
        self.stream.feed(DeviceBlock(start, HEARD[start:end, np.newaxis], RATE_HZ, lost_before=lost))

    def ask(self, detection, monitor="anomaly"):
        return self.saver.clip_of(self.stream, monitor, detection, 10**18)

    def finish(self):
        assert self.saver.stop(30.0)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_clip_is_the_sound_around_the_onset_to_the_sample(bench):
    bench.saver.start()
    bench.hear(0, 3.5)
    name = bench.ask(onset())
    assert name == "press/20010909T014640Z-anomaly-b1-32000.flac"
    bench.hear(3.5, 6)
    bench.finish()
    path = clip_path(bench.state, name)
    np.testing.assert_array_equal(read_clip(path), HEARD[SECOND : 4 * SECOND])
    assert (clip_origin(path).sample_start, bench.saver.saved, bench.saver.lost) == (SECOND, 1, 0)


def test_a_clip_is_saved_as_soon_as_its_end_was_heard_and_not_before(bench, monkeypatch):
    written = threading.Event()
    monkeypatch.setattr(ClipFolder, "write", lambda *_: written.set())
    waits = threading.Semaphore(0)
    monkeypatch.setattr(module._Wanted, "is_heard", _observed(module._Wanted.is_heard, waits))
    bench.hear(0, 3.9)
    bench.saver.start()
    bench.ask(onset())
    for _ in range(2):
        assert waits.acquire(timeout=10.0)
    assert not written.is_set()
    assert not bench.saver.is_idle
    bench.hear(3.9, 4.0)
    assert written.wait(10.0)
    bench.finish()
    assert bench.saver.is_idle


def _observed(method, semaphore):
    def observed(self, now_s):
        semaphore.release()
        return method(self, now_s)

    return observed


def test_a_gap_cuts_the_clip_on_the_side_away_from_what_decided(bench):
    bench.hear(0, 1.5)
    bench.hear(1.75, 3.25, lost=SECOND // 4)
    bench.hear(3.5, 6, lost=SECOND // 4)
    name = bench.ask(onset())
    bench.saver.start()
    bench.finish()
    path = clip_path(bench.state, name)
    np.testing.assert_array_equal(read_clip(path), HEARD[7 * SECOND // 4 : 13 * SECOND // 4])
    assert clip_origin(path).sample_start == 7 * SECOND // 4


def test_the_streams_end_ends_the_clip(bench):
    bench.hear(0, 3.25)
    bench.saver.start()
    name = bench.ask(onset())
    bench.stream.is_finished = True
    bench.finish()
    assert len(read_clip(clip_path(bench.state, name))) == 2.25 * SECOND


def test_a_stream_that_stands_still_is_not_waited_for(bench):
    bench.hear(0, 3.25)
    wanted = bench.saver._wanted(bench.stream, "anomaly", "x", onset())
    assert not wanted.is_heard(100.0)
    assert not wanted.is_heard(109.0)
    bench.hear(3.25, 3.5)
    assert not wanted.is_heard(111.0)
    assert wanted.is_heard(122.0)


def test_what_is_no_more_in_memory_is_counted_as_lost(bench):
    bench.hear(0, 15)  # the ring holds 10 s
    name = bench.ask(onset())
    bench.saver.start()
    bench.finish()
    assert (clip_path(bench.state, name), bench.saver.lost) == (None, 1)


def test_updates_and_the_end_name_the_clip_of_their_onset(bench):
    name = bench.ask(onset())
    assert bench.ask(onset(5 * SECOND, 6 * SECOND, "update", 2 * SECOND)) == name
    assert bench.ask(onset(8 * SECOND, 9 * SECOND, "cleared", 2 * SECOND)) == name
    assert bench.ask(onset(8 * SECOND, 9 * SECOND, "update", 7 * SECOND)) is None
    other = bench.ask(onset(12 * SECOND, 13 * SECOND))
    assert other not in {name, None}


def test_keywords_are_saved_only_where_that_is_asked_for(bench, tmp_path):
    assert bench.ask(onset(kind="keyword"), "keyword") is None
    talkative = Bench(tmp_path, keyword=True, anomaly=False)
    assert talkative.ask(onset(kind="keyword"), "keyword").endswith("-keyword-b1-32000.flac")
    assert talkative.ask(onset()) is None


def test_too_many_at_a_time_are_lost_and_their_events_name_no_clip(bench):
    names = [bench.ask(onset(n * SECOND, (n + 1) * SECOND)) for n in range(MAX_WAITING + 3)]
    assert [name is None for name in names] == [False] * MAX_WAITING + [True] * 3
    assert bench.saver.lost == 3


def test_a_full_disk_loses_clips_and_is_reported_once_until_it_has_room(bench, monkeypatch):
    refused = threading.Semaphore(0)

    def full(*_):
        refused.release()
        raise OSError(28, "No space left on device")

    real = ClipFolder.write
    monkeypatch.setattr(ClipFolder, "write", full)
    bench.hear(0, 6)
    bench.stream.is_finished = True
    for start in (2, 3):
        bench.ask(onset(start * SECOND, (start + 1) * SECOND))
    bench.saver.start()
    assert bench.told_something.wait(10.0)
    bench.told_something.clear()
    for _ in range(2):
        assert refused.acquire(timeout=10.0)
    monkeypatch.setattr(ClipFolder, "write", real)
    bench.ask(onset(4 * SECOND, 5 * SECOND))
    assert bench.told_something.wait(10.0)
    bench.finish()
    assert bench.told == [("edged", "clips", "failing"), ("edged", "clips", "ok")]
    assert (bench.saver.saved, bench.saver.lost) == (1, 2)


def test_what_cannot_be_tidied_up_is_no_reason_to_end(bench):
    # the thread ended, and the daemon with it, at every start
    (bench.state / "clips" / "press" / ".a.wav.part").mkdir(parents=True)
    bench.saver.start()
    bench.hear(0, 6)
    bench.ask(onset())
    bench.finish()
    assert bench.saver.saved == 1
