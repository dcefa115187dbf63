"""Onsets say what they are most like, and which bands and times raised the score; wherever they are judged."""

from dataclasses import replace

import pytest

from edged.assembly import open_bundle
from edged.config import AnomalySettings
from edged.errors import BundleError
from edged.explain.onset import judged, onset_reasons
from edged.flow import Block
from edged.pipeline import AnomalyMonitor
from tests.edged.explain.conftest import hum
from tests.fakes.monitor import FakeMonitor


def monitor_of(judge):
    return AnomalyMonitor("press", open_bundle("anomaly"), AnomalySettings(), replace(judge.bank, version=1))


def run(judge, samples):
    monitor = monitor_of(judge)
    segments = [*monitor.push(Block(0, samples)), *monitor.flush()]
    embeddings = judge.embedder.embed(segments)
    return [judged(monitor, s, e, judge.embedder) for s, e in zip(segments, embeddings, strict=True)]


def test_an_onset_names_band_time_and_nearest_clip(shipped):
    judge, _ = shipped
    outcomes = run(judge, hum(40.0, 60, (3000.0, 14.0, 40.0, 0.1)))
    detections = [found for outcome in outcomes for found in outcome.detections]
    onset = detections[0]
    assert onset.kind == "onset"
    band, time = onset.details["bands"][0], onset.details["times"][0]
    assert band["from_hz"] <= 3000 <= band["to_hz"]
    assert time["from_s"] >= 13.0
    assert onset.sample_start / 16000 <= time["from_s"] < time["to_s"] <= onset.sample_end / 16000
    assert onset.details["nearest"]["clip"].startswith("hum-")
    assert "peak_score" in onset.details
    assert all("bands" not in later.details for later in detections[1:])


def test_nothing_else_is_explained(shipped, monkeypatch):
    judge, _ = shipped
    monkeypatch.setattr("edged.explain.onset.onset_reasons", pytest.fail)
    assert all(not outcome.detections for outcome in run(judge, hum(20.0, 61)))
    embedding = type("E", (), {"sample_start": 0, "sample_end": 1, "vectors": {"x": 5.0}, "epoch": 0})()
    (found,) = judged(FakeMonitor(), None, embedding, None).detections
    assert found.details == {}


def test_a_network_that_fails_on_hidden_cells_leaves_the_alarm(shipped):
    judge, _ = shipped
    monitor = monitor_of(judge)
    segment = monitor.push(Block(0, hum(10.0, 62)))[0]
    embedding = judge.embedding(segment)

    class Failing:
        provider = "none"

        def embed(self, _segments):
            raise BundleError("not finite")

    reasons = onset_reasons(monitor, type(judge)(judge.bank, Failing()), segment, embedding)
    assert list(reasons) == ["nearest"]
