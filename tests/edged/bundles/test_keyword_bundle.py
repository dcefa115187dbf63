"""The shipped keyword bundle: whole, small, blind to gain, and it finds an enrolled sound and nothing else."""

from pathlib import Path

import numpy as np
import pytest

import edged
from edged.decide.keyword import KeywordDecider
from edged.embed.bundle import load_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.features.keyword import KeywordSpec
from edged.frontend import speech_rows
from edged.pipeline import embed_signal
from edged.references.templates import template_of_clip
from edged.score.dtw import StreamingDtw
from edged.score.keyword import KeywordModel

DIRECTORY = Path(edged.__file__).parent / "bundles" / "keyword"
HOP = 256


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(DIRECTORY)


@pytest.fixture(scope="module")
def embed(bundle):
    embedder = OnnxEmbedder(bundle)

    def rows_of(samples):
        rows = [e.vectors["speech"] for e in embed_signal(samples, bundle, embedder)]
        return np.concatenate(rows)[: -(-len(samples) // HOP)]

    return rows_of


def vowels(formants, pitch_hz=120.0, duration_s=0.15):
    """A crude voice: harmonics under moving resonances, one pair per stretch."""
    time = np.arange(int(duration_s * 16_000)) / 16_000
    harmonics = np.arange(1, 40)[:, None] * pitch_hz
    parts = []
    for first, second in formants:
        gain = sum(1.0 / (1.0 + ((harmonics - f) / 90.0) ** 2) for f in (first, second))
        parts.append((gain * np.sin(2 * np.pi * harmonics * time)).sum(axis=0))
    word = np.concatenate(parts)
    return (0.1 * word / np.abs(word).max()).astype(np.float32)


WORD = [(300, 2300), (700, 1100), (320, 800)]
OTHER = [(500, 1500), (300, 900), (600, 1700)]


def stream_of(*words):
    quiet = (np.random.default_rng(0).standard_normal(8_000) * 2e-3).astype(np.float32)
    return np.concatenate([part for word in words for part in (quiet, word)] + [quiet])


def model_of(embed, bundle, pitches=(110.0, 130.0)):
    clips = [stream_of(vowels(WORD, pitch)) for pitch in pitches]
    templates = [template_of_clip("clip", clip, embed(clip), HOP) for clip in clips]
    return KeywordModel.fit({"word": templates}, speech_rows(bundle), bundle.manifest.decision["limit_distance"])


def distances_of(model, rows):
    return model.combine(StreamingDtw(model.templates).push(rows))


def test_it_is_what_this_edged_computes(bundle):
    assert bundle.manifest.kind == "keyword"
    assert bundle.manifest.features_digest == KeywordSpec(context_right_frames=6).digest()
    assert bundle.manifest.parity["onnx_vs_torch_max_relative_error"] <= 1e-4
    sizes = {path.name: path.stat().st_size for path in DIRECTORY.iterdir()}
    for_gpus = sizes.pop("model-fp16.onnx")
    assert sum(sizes.values()) < 5_000_000
    assert for_gpus < 0.55 * sizes["model.onnx"]
    assert {"limit_distance", "loose_distance", "hold_frames", "loose_hold_frames"} <= set(bundle.manifest.decision)


def test_it_says_what_it_was_trained_on(bundle):
    card = (DIRECTORY / "card.md").read_text(encoding="utf-8")
    for fact in ("espeak-ng", "Speech Commands", "Arabic", "ESC-10", "CC BY 4.0", "Limits"):
        assert fact in card
    assert not any("wuw2" in source or "barista" in source for source in bundle.manifest.training["recorded_sources"])


def test_an_enrolled_sound_is_found_and_another_is_not(bundle, embed):
    model = model_of(embed, bundle)
    samples = stream_of(vowels(OTHER, 120.0), vowels(WORD, 120.0), vowels(OTHER, 140.0))
    trace_distances, starts = distances_of(model, embed(samples))
    decider = KeywordDecider(model.word_frames, model.limits(), int(bundle.manifest.decision["hold_frames"]))
    found = decider.push(0, trace_distances, starts) + decider.flush(len(trace_distances))
    onset_s = (8_000 * 2 + len(vowels(OTHER))) / 16_000
    assert [match.frame_start * HOP / 16_000 for match in found] == [pytest.approx(onset_s, abs=0.1)]


@pytest.mark.parametrize("gain_db", [-20.0, 12.0])
def test_gain_changes_no_distance(bundle, embed, gain_db):
    model = model_of(embed, bundle)
    samples = stream_of(vowels(OTHER), vowels(WORD))
    plain, _ = distances_of(model, embed(samples))
    other, _ = distances_of(model, embed(samples * np.float32(10.0 ** (gain_db / 20.0))))
    reached = np.isfinite(plain)
    np.testing.assert_allclose(other[reached], plain[reached], rtol=0.01)
