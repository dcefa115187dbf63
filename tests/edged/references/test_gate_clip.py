"""One clip before enrolment: what is unfit is refused with its reason, sound recordings never are."""

import numpy as np
import pytest
import soxr

from edged.capture.files import read_clip
from edged.references.gate_clip import ANOMALY_CLIPS, FULL_BAND_HZ, KEYWORD_CLIPS, band_edge_hz, examine
from tests.fakes.sounds import RATE_HZ, machine


def torn(samples):
    """A driver that delivers every other buffer twice."""
    buffers = samples.copy().reshape(-1, 800)
    buffers[1::2] = buffers[::2]
    return buffers.ravel()


@pytest.mark.parametrize(
    ("samples", "fault"),
    [
        (machine(0.5, 1), "too short"),
        (np.zeros(32_000, np.float32), "silent"),
        (machine(2, 1) * np.float32(1e-5), "silent"),
        (machine(2, 1) + np.float32(0.6), "DC"),
        (np.clip(machine(2, 1) * 30, -1, 1), "clipped"),
        (np.clip(machine(2, 1) * 30, -1, 1) * np.float32(0.2), "clipped"),
        (np.concatenate([machine(1, 1), np.zeros(20_000, np.float32)]), "digital silence"),
        (machine(2, 1), ""),
        (machine(2, 1) + np.float32(0.02), ""),
    ],
)
def test_faults(samples, fault):
    found = examine(samples, ANOMALY_CLIPS)
    assert found.fault == fault
    assert bool(found.reason) == bool(fault)
    assert found.doubts == ()


def test_a_clip_is_measured_against_its_limit():
    assert examine(machine(11, 1), KEYWORD_CLIPS).reason == "11.0 s is longer than 10 s"


def test_a_word_in_digital_silence_is_an_ordinary_recording():
    word = np.pad(machine(0.6, 1), 16_000)
    assert examine(word, KEYWORD_CLIPS).fault == ""


@pytest.mark.parametrize(
    ("samples", "words"), [(np.clip(machine(2, 1) * 16, -1, 1), "full scale"), (torn(machine(2, 1)), "torn")]
)
def test_doubts(samples, words):
    found = examine(samples, ANOMALY_CLIPS)
    assert found.fault == ""
    assert [words in doubt for doubt in found.doubts] == [True]


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 12_000])
def test_a_recording_made_at_a_lower_rate_ends_in_a_cliff(rate_hz):
    low = soxr.resample(machine(3, 1), RATE_HZ, rate_hz)
    assert 0.85 * rate_hz / 2 < band_edge_hz(soxr.resample(low, rate_hz, RATE_HZ)) <= rate_hz / 2


def test_sound_that_only_falls_towards_high_frequencies_ends_in_none():
    rng = np.random.default_rng(0)
    brown = np.cumsum(rng.standard_normal(48_000))
    assert band_edge_hz((brown / np.abs(brown).max() / 2).astype(np.float32)) == FULL_BAND_HZ
    tone = 0.3 * np.sin(np.arange(48_000) * 0.9, dtype=np.float32)
    assert band_edge_hz(tone + np.float32(1e-4) * rng.standard_normal(48_000).astype(np.float32)) == FULL_BAND_HZ


def test_no_real_recording_is_refused_or_doubted(data_dir):
    recordings = sorted((data_dir / "machines").rglob("*.flac"))[::8]
    findings = {path.name: examine(read_clip(path), ANOMALY_CLIPS) for path in recordings}
    assert {name: f for name, f in findings.items() if f.fault or f.doubts or f.band_edge_hz < FULL_BAND_HZ} == {}
