import threading

import numpy as np
import pytest

from edged.capture.source import DeviceBlock
from edged.runtime.worker import Worker
from tests.fakes.monitor import SEGMENT, FakeEmbedder, FakeMonitor, fake_stream

RATE_HZ = 16000


def ones(sample, n, lost=0, value=1.0):
    return DeviceBlock(sample, np.full((n, 1), value, np.float32), RATE_HZ, lost_before=lost)


class Bench:
    def __init__(self, streams, changed, publish=None):
        self.published, self.embedder = [], FakeEmbedder()
        publish = publish or (lambda stream, _, outcome: self.published.append((stream.name, outcome)))
        self.worker = Worker(streams, lambda _: self.embedder, publish, changed)

    def detections(self, name):
        return [d.sample_start for stream, outcome in self.published if stream == name for d in outcome.detections]


def books(stream):
    return stream.books["anomaly"]


def assert_balanced(stream, heard):
    sums = books(stream)
    assert sums["received"] + sums["missing"] == heard
    assert sums["received"] == sums["scored"] + sums["dropped"] + sums["pending"]


def test_streams_share_batches_and_keep_their_order():
    changed = threading.Condition()
    streams = [fake_stream(name, changed=changed) for name in ("a", "b")]
    bench = Bench(streams, changed)
    for stream in streams:
        stream.feed(ones(0, 10 * SEGMENT))
        stream.finish(10 * SEGMENT, RATE_HZ)
    bench.worker.start()
    assert bench.worker.join(10.0)
    assert bench.embedder.batches[0] > SEGMENT // 10
    for stream in streams:
        assert bench.detections(stream.name) == list(range(0, 1000, SEGMENT))
        assert stream.monitors[0].finished == 1
        assert books(stream) == {"received": 1000, "scored": 1000, "dropped": 0, "missing": 0, "lost": 0, "pending": 0}


def test_words_are_told_before_anomalies_that_may_be_explained_at_length():
    changed = threading.Condition()
    both = [[FakeMonitor("anomaly"), FakeMonitor("keyword")] for _ in "ab"]
    streams = [fake_stream(name, monitors=own, changed=changed) for name, own in zip("ab", both, strict=True)]
    told = []
    worker = Bench(streams, changed, lambda stream, monitor, _: told.append((monitor.name, stream.name))).worker
    for stream in streams:
        stream.feed(ones(0, 2 * SEGMENT))
        stream.finish(2 * SEGMENT, RATE_HZ)
    worker.start()
    assert worker.join(10.0)
    words, anomalies = [("keyword", name) for name in "aabb"], [("anomaly", name) for name in "aabb"]
    assert told[:8] == words + anomalies


def test_gaps_and_the_end_are_accounted_for_to_the_sample():
    changed = threading.Condition()
    stream = fake_stream(changed=changed)
    bench = Bench([stream], changed)
    stream.feed(ones(0, 650))
    stream.feed(ones(1000, 333, lost=350))
    stream.finish(1500, RATE_HZ)
    bench.worker.start()
    assert bench.worker.join(10.0)
    assert books(stream)["missing"] == 350 + 167
    assert books(stream)["scored"] == 600 + 300
    assert_balanced(stream, heard=1500)


def test_a_stalled_worker_loses_live_samples_and_says_how_many():
    changed = threading.Condition()
    stream = fake_stream(changed=changed, is_live=True, queue_s=1.0)
    bench = Bench([stream], changed)
    for number in range(100):
        stream.feed(ones(number * 800, 800))
    assert stream.inbox.overflowed_samples == 100 * 800 - 16000
    stream.finish(80000, RATE_HZ)
    bench.worker.start()
    assert bench.worker.join(10.0)
    assert books(stream)["lost"] == 80000 - 16000
    assert_balanced(stream, heard=80000)


def test_a_new_bank_is_taken_between_two_segments():
    changed = threading.Condition()
    stream = fake_stream(changed=changed)
    first_scored = threading.Event()
    versions = []

    def publish(_stream, _monitor, outcome):
        versions.extend(scored.domain for scored in outcome.scored)
        first_scored.set()

    worker = Bench([stream], changed, publish).worker
    worker.start()
    stream.feed(ones(0, 3 * SEGMENT))
    assert first_scored.wait(10.0)
    worker.use_bank(stream.monitors[0], 7)
    stream.feed(ones(3 * SEGMENT, 20 * SEGMENT))
    stream.finish(23 * SEGMENT, RATE_HZ)
    assert worker.join(10.0)
    assert sorted(set(versions)) == ["bank 0", "bank 7"]
    assert versions == sorted(versions)
    assert versions[-1] == "bank 7"


def test_giving_up_counts_everything_that_waits_as_lost():
    changed = threading.Condition()
    stream = fake_stream(changed=changed)
    at_work, gate = threading.Event(), threading.Event()

    def publish(*_):
        at_work.set()
        assert gate.wait(10.0)

    worker = Bench([stream], changed, publish).worker
    worker.start()
    stream.feed(ones(0, SEGMENT + 60))
    assert at_work.wait(10.0)
    stream.feed(ones(SEGMENT + 60, 4960))
    worker.abandon()
    gate.set()
    assert worker.join(10.0)
    assert_balanced(stream, heard=5120)
    assert books(stream)["lost"] == 5120 - SEGMENT


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_every_sample_is_accounted_for(seed):
    rng = np.random.default_rng(seed)
    changed = threading.Condition()
    monitors = [FakeMonitor("anomaly"), FakeMonitor("keyword")]
    stream = fake_stream(monitors=monitors, changed=changed, is_live=bool(seed % 2), queue_s=1.0)
    bench = Bench([stream], changed)
    bench.worker.start()
    position = 0
    for _ in range(200):
        lost = int(rng.integers(1, 3000)) if rng.random() < 0.1 else 0
        block = ones(position + lost, int(rng.integers(1, 2000)), lost, value=np.nan if rng.random() < 0.05 else 1.0)
        stream.feed(block)
        position = block.end
    stream.finish(position + 17, RATE_HZ)
    assert bench.worker.join(30.0)
    for sums in stream.books.values():
        assert sums["pending"] == 0
        assert sums["received"] + sums["missing"] == position + 17
        assert sums["received"] == sums["scored"] + sums["dropped"]
