"""A monitor without models: segments of 100 samples, their sum as embedding, a detection if it is above zero."""

import threading
from types import SimpleNamespace

import numpy as np

from edged.accounting import Accounting
from edged.clock import FakeClock, StreamClock
from edged.config import CaptureSettings
from edged.features.health import input_verdict
from edged.flow import Detection, Embedding, Outcome, Scored, Segment
from edged.runtime.stream import Stream

SEGMENT = 100


class FakeMonitor:
    def __init__(self, name="anomaly", stream="s"):
        self.name, self.stream = name, stream
        self.bundle = SimpleNamespace(digest=name, manifest=SimpleNamespace(id="fake"))
        self.accounting = Accounting()
        self.bank_version = 0
        self.advice = ""
        self.finished = 0
        self._held, self._start = np.zeros(0, np.float32), 0

    def judge_input(self, facts):
        return input_verdict(facts, None)

    def push(self, block):
        if block.lost_before:
            self._held, self._start = np.zeros(0, np.float32), block.sample
        self._held = np.concatenate([self._held, block.samples])
        segments = []
        while len(self._held) >= SEGMENT:
            segments.append(Segment(self._start, self._start + SEGMENT, {"x": self._held[:SEGMENT]}))
            self._held, self._start = self._held[SEGMENT:], self._start + SEGMENT
        self.accounting.advance(block, segments)
        return segments

    def flush(self):
        self.accounting.finish([])
        return []

    def accept(self, embedding):
        self.accounting.score(embedding)
        start, end, total = embedding.sample_start, embedding.sample_end, float(embedding.vectors["x"])
        scored = Scored(start, end, total, 0.0, f"bank {self.bank_version}")
        found = Detection("onset", start, end, start, None, total, 0.0, bank_version=self.bank_version)
        return Outcome((scored,), (found,) if total > 0 else ())

    def finish(self):
        self.finished += 1
        return Outcome()

    def use_bank(self, bank):
        self.bank_version = bank
        return Outcome()


class FakeEmbedder:
    provider = "fake"

    def __init__(self):
        self.batches = []

    def embed(self, segments):
        self.batches.append(len(segments))
        return [Embedding(s.sample_start, s.sample_end, {"x": s.features["x"].sum()}) for s in segments]


def fake_stream(name="s", monitors=None, is_live=False, changed=None, queue_s=1.0):
    return Stream(
        name, "device", 0, monitors or [FakeMonitor(stream=name)],
        settings=CaptureSettings(queue_s=queue_s, ring_s=10.0), changed=changed or threading.Condition(),
        clock=StreamClock(FakeClock(), is_live=is_live), is_live=is_live,
    )  # fmt: skip
