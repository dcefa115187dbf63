"""The anomaly monitor with the real front end: what is judged, what is not, and what follows from it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from edged.config import AnomalySettings
from edged.embed.bundle import Manifest, RepresentationSpec, write_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.features.anomaly import AnomalySpec
from edged.flow import Block
from edged.pipeline import AnomalyMonitor, embed_signal
from edged.references.anomaly import bank_of_store, bank_to_store, extended_bank
from edged.references.clips import ANOMALY_CLIPS, clip_of_samples
from edged.references.store import BankStore
from tests.fakes.sounds import RATE_HZ, machine

HOP = 4096


@pytest.fixture(scope="module", params=[True, False], ids=["level normalised", "level heard"])
def site(request, tmp_path_factory):
    """A bundle of statistics over segments of 1 s, and a bank of the machine's normal sound."""
    folder = tmp_path_factory.mktemp("bundle")
    spec = AnomalySpec(segment_samples=16000, hop_samples=HOP, inputs=(), normalise_level=request.param)
    manifest = Manifest(
        kind="anomaly", id="small", version="1", segment_samples=16000, hop_samples=HOP,
        features=spec.model_dump(mode="json"), features_digest=spec.digest(),
        representations=(RepresentationSpec(name="statistics", source="features", dim=384, backend="density"),),
        score_direction="higher_is_more_anomalous",
    )  # fmt: skip
    bundle = write_bundle(folder / "small", manifest)
    embedder = OnnxEmbedder(bundle)
    clips = [clip_of_samples(str(seed), machine(4, seed), ANOMALY_CLIPS) for seed in range(12)]
    bank = extended_bank(bundle, None, [(c, embed_signal(c.samples, bundle, embedder)) for c in clips], "source")
    with BankStore(folder / "state") as store:
        store.commit("fan", "anomaly", *bank_to_store(bank, bundle), reason="enrolled source", based_on=0)
        return bundle, embedder, bank_of_store(store.load_active("fan", "anomaly"), bundle)


def listen(site, signal, cuts=(), **settings):
    """Scores and detections of a signal, cut at these samples."""
    bundle, embedder, bank = site
    monitor = AnomalyMonitor("fan", bundle, AnomalySettings(**settings), bank)
    scored, found = [], []

    def take(segments):
        for embedding in embedder.embed(segments):
            outcome = monitor.accept(embedding)
            scored.extend(outcome.scored)
            found.extend(outcome.detections)

    for start, end in itertools.pairwise([0, *cuts, len(signal)]):
        take(monitor.push(Block(start, signal[start:end].astype(np.float32))))
    take(monitor.flush())
    books = monitor.accounting
    assert (books.received, books.pending, books.dropped) == (len(signal), 0, 0)
    assert books.scored == len(signal)
    return scored, found


def kinds(found):
    return [detection.kind for detection in found]


def noise(seconds, rms, seed=0):
    return rms * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))


def torn(sound):
    sound = sound.copy()
    for at in range(0, len(sound), RATE_HZ // 3):
        sound[at : at + 320] = 0.0
    return sound


def stuck(sound):
    return np.resize(sound[:1000], len(sound))


SICK = {
    "flat": lambda s: 0 * s,
    "dc": lambda s: s + 0.5,
    "clipping": lambda s: np.clip(60 * s, -1, 1),
    "deaf": lambda s: s / 1e4 + noise(len(s) / RATE_HZ, 3e-5),
    "dropouts": torn,
    "dropouts of a stuck driver": stuck,
    "hiss": lambda s: s + noise(len(s) / RATE_HZ, 0.25),
}


@pytest.mark.parametrize("state", SICK)
def test_a_sick_input_is_no_anomaly_and_telemetry_says_what_it_is(site, state):
    signal = np.concatenate([machine(6, 50), SICK[state](machine(8, 51)), machine(6, 52)])
    scored, found = listen(site, signal)
    assert kinds(found) == []
    sick = [s for s in scored if s.sample_end > 6 * RATE_HZ + HOP and s.sample_start < 14 * RATE_HZ - HOP]
    inside = [s.input for s in sick if s.sample_start >= 6 * RATE_HZ and s.sample_end <= 14 * RATE_HZ]
    assert set(inside) == {state.split()[0]}
    assert all(s.is_judged for s in scored if s.sample_end <= 6 * RATE_HZ or s.sample_start >= 14 * RATE_HZ)


@pytest.mark.parametrize("state", SICK)
def test_an_alarm_is_neither_cleared_nor_prolonged_by_a_sick_input(site, state):
    fault = machine(6, 60, fault=True)
    quiet = SICK[state](machine(10, 61))
    _, lasting = listen(site, np.concatenate([machine(5, 62), fault, quiet, fault, machine(5, 63)]))
    assert kinds(lasting) == ["onset", "cleared"]
    assert lasting[1].offset_sample > 22 * RATE_HZ
    _, over = listen(site, np.concatenate([machine(5, 62), fault, quiet, machine(5, 63)]))
    assert kinds(over) == ["onset", "cleared"]
    assert over[1].sample_start >= 20 * RATE_HZ  # three healthy segments said so
    assert over[1].offset_sample < 12.5 * RATE_HZ  # and the sick ones are not part of it


def test_faults_are_found_at_any_level_that_is_sound(site):
    for gain in (0.1, 1.0, 8.0):
        fault = np.clip(gain * machine(6, 70, fault=True), -0.98, 0.98)
        scored, found = listen(site, np.concatenate([machine(5, 71), fault]))
        assert kinds(found)[:1] == ["onset"]
        assert all(s.is_judged for s in scored)


def test_a_new_tone_and_a_leak_alarm(site):
    tone = 0.05 * np.sin(2 * np.pi * 2500 * np.arange(6 * RATE_HZ) / RATE_HZ)
    for added in (tone, noise(6, 0.05)):
        scored, found = listen(site, np.concatenate([machine(5, 80), machine(6, 81) + added]))
        assert kinds(found) == ["onset"]
        assert all(s.is_judged for s in scored)


def test_a_machine_that_is_merely_louder_alarms_where_the_bundle_hears_levels(site):
    bundle = site[0]
    scored, found = listen(site, np.concatenate([machine(5, 82), 4 * machine(6, 83)]))
    assert all(s.is_judged for s in scored)
    if not bundle.manifest.features["normalise_level"]:
        assert kinds(found) == ["onset"]


def test_a_bank_that_does_not_know_its_levels_is_used_without_them(site):
    """Banks of earlier versions."""
    bundle, embedder, bank = site
    facts, _ = bank_to_store(bank, bundle)
    assert facts["clips"][0]["heard"]["quietest_dbfs"] == pytest.approx(-31, abs=2)
    old = replace(bank, clips=tuple(replace(clip, heard=None) for clip in bank.clips))
    scored, _ = listen((bundle, embedder, old), SICK["deaf"](machine(3, 1)))
    assert all(s.is_judged for s in scored)
    scored, _ = listen((bundle, embedder, old), SICK["flat"](machine(3, 1)))
    assert not any(s.is_judged for s in scored)


def test_a_slow_ramp_below_the_threshold_is_drift_and_a_step_is_an_onset(site):
    """Compressed into a minute: the window is 36 s."""
    quick = {"drift_window_h": 0.01, "threshold": 60.0}
    t = np.arange(120 * RATE_HZ) / RATE_HZ
    slow = machine(120, 90) + np.interp(t, [10, 70], [0, 0.004]) * np.sin(2 * np.pi * 5000 * t)
    _, found = listen(site, slow, **quick)
    assert [(d.kind, d.details.get("state")) for d in found] == [("drift", "set in")]
    assert 10 * RATE_HZ < found[0].onset_sample < found[0].sample_end
    assert found[0].severity is None
    step = machine(120, 90) + 0.2 * (t > 60) * np.sin(2 * np.pi * 5000 * t)
    _, found = listen(site, step, **quick)
    assert kinds(found)[0] == "onset"
    assert "drift" not in kinds(found)
    assert set(kinds(found)) <= {"onset", "update"}
    assert found[0].severity is not None


def test_any_chunking_gives_identical_scores_and_detections(site):
    rng = np.random.default_rng(5)
    pieces = [machine(5, 90), machine(5, 91, fault=True), *(sick(machine(3, 92)) for sick in SICK.values())]
    signal = np.concatenate([*pieces, machine(45, 93)])
    expected = listen(site, signal, drift_window_h=0.01, drift_spreads=0.01)
    assert {"onset", "cleared", "drift"} <= set(kinds(expected[1]))
    for _ in range(2):
        cuts = np.unique(rng.integers(1, len(signal), rng.integers(1, 400))).tolist()
        assert listen(site, signal, cuts, drift_window_h=0.01, drift_spreads=0.01) == expected
