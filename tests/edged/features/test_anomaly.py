"""The anomaly front end: exact for any chunking, honest about gaps, finite on silence."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edged.features.anomaly import AnomalyFeatures, AnomalySpec, clip_segments, segment_features
from edged.features.spectrogram import magnitude_frames
from edged.flow import Block, Segment

SMALL = AnomalySpec(
    segment_samples=16_000,
    hop_samples=4_096,
    inputs=("spectrogram", "spectrum", "log_mel"),
    n_mels=16,
    statistics={"typical": ("mean", "std"), "quiet": ("p5", "change")},
)
SIGNAL = np.random.default_rng(7).standard_normal(50_000).astype(np.float32) * 0.1


def feed(signal: np.ndarray, cuts: list[int], spec: AnomalySpec = SMALL) -> list[Segment]:
    featuriser, segments = AnomalyFeatures(spec), []
    edges = [0, *sorted(cuts), len(signal)]
    for start, end in itertools.pairwise(edges):
        segments += featuriser.push(Block(start, signal[start:end]))
    return segments + featuriser.flush()


def assert_same(left: list[Segment], right: list[Segment]) -> None:
    assert [(s.sample_start, s.sample_end) for s in left] == [(s.sample_start, s.sample_end) for s in right]
    for a, b in zip(left, right, strict=True):
        assert a.features.keys() == b.features.keys()
        for name in a.features:
            np.testing.assert_array_equal(a.features[name], b.features[name])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, len(SIGNAL)), max_size=60))
def test_any_chunking_gives_the_same_bits(cuts: list[int]) -> None:
    assert_same(feed(SIGNAL, cuts), clip_segments(SIGNAL, SMALL))


def test_chunks_of_a_sound_card_with_the_full_spec() -> None:
    signal = np.random.default_rng(1).standard_normal(250_000).astype(np.float32)
    spec = AnomalySpec()
    assert_same(feed(signal, list(range(0, len(signal), 441)), spec), clip_segments(signal, spec))


def test_segments_lie_on_the_grid_and_the_last_one_ends_with_the_signal() -> None:
    spans = [(s.sample_start, s.sample_end) for s in clip_segments(SIGNAL, SMALL)]
    assert spans[:2] == [(0, 16_000), (4_096, 20_096)]
    assert spans[-1] == (34_000, 50_000)


def test_shapes_are_those_of_the_thesis() -> None:
    spec = AnomalySpec(inputs=("spectrogram", "spectrum", "log_mel"))
    features = segment_features(np.zeros(160_000, np.float32) + 0.1, spec)
    assert features["spectrogram"].shape == (311, 513)
    assert features["spectrum"].shape == (80_000,)
    assert {name: value.shape for name, value in features.items()} == {name: spec.shape(name) for name in features}


def test_streamed_segment_equals_the_segment_computed_alone() -> None:
    second = clip_segments(SIGNAL, SMALL)[1]
    alone = segment_features(SIGNAL[4_096:20_096], SMALL)
    for name, value in alone.items():
        np.testing.assert_array_equal(second.features[name], value)


def test_gain_does_not_matter() -> None:
    quiet = segment_features(SIGNAL[:16_000] * np.float32(0.01), SMALL)
    loud = segment_features(SIGNAL[:16_000], SMALL)
    for name in loud:
        np.testing.assert_allclose(quiet[name], loud[name], rtol=1e-3, atol=1e-3)


def test_digital_silence_is_finite() -> None:
    for value in segment_features(np.zeros(16_000, np.float32), SMALL).values():
        assert np.isfinite(value).all()


def test_network_inputs_hold_nothing_below_the_cutoff() -> None:
    time = np.arange(16_000) / 16_000
    hum = np.sin(2 * np.pi * 100 * time).astype(np.float32)
    features = segment_features(hum, SMALL)
    assert not features["spectrogram"][:, :13].any()
    assert not features["spectrum"][:200].any()


def test_no_segment_spans_a_gap() -> None:
    featuriser = AnomalyFeatures(SMALL)
    segments = featuriser.push(Block(0, SIGNAL[:18_000]))
    segments += featuriser.push(Block(20_000, SIGNAL[20_000:40_000], lost_before=2_000))
    spans = [(s.sample_start, s.sample_end) for s in segments]
    assert spans == [(0, 16_000), (2_000, 18_000), (20_000, 36_000)]


def test_a_fragment_between_gaps_is_given_up() -> None:
    featuriser = AnomalyFeatures(SMALL)
    assert featuriser.push(Block(0, SIGNAL[:9_000])) == []
    assert featuriser.push(Block(10_000, SIGNAL[:9_000], lost_before=1_000)) == []
    assert featuriser.covered_until == 10_000


def test_new_epoch_starts_over() -> None:
    featuriser = AnomalyFeatures(SMALL)
    featuriser.push(Block(0, SIGNAL[:16_000]))
    (segment,) = featuriser.push(Block(0, SIGNAL[:16_000], epoch=1))
    assert (segment.sample_start, segment.epoch) == (0, 1)


def test_short_clip_is_repeated() -> None:
    (segment,) = clip_segments(SIGNAL[:5_000], SMALL)
    assert (segment.sample_start, segment.sample_end) == (0, 5_000)
    repeated = np.tile(SIGNAL[:5_000], 4)[:16_000]
    np.testing.assert_array_equal(segment.features["typical"], segment_features(repeated, SMALL)["typical"])


def test_empty_signal_gives_nothing() -> None:
    assert clip_segments(np.empty(0, np.float32), SMALL) == []


def test_frames_equal_a_direct_dft() -> None:
    frames = magnitude_frames(SIGNAL[:1024], 256, 128)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    n, k = np.arange(256), np.arange(129)
    direct = np.abs((SIGNAL[256:512] * window) @ np.exp(-2j * np.pi * np.outer(n, k) / 256))
    np.testing.assert_allclose(frames[2], direct, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"hop_samples": 1000}, {"mel_fmin_hz": 7999.0, "mel_fmax_hz": 7000.0}, {"colour": 1}]
)
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        AnomalySpec(**wrong)


def test_statistics_equal_numpy() -> None:
    bands = segment_features(SIGNAL[:16_000], SMALL)
    log_mel = bands["log_mel"]
    np.testing.assert_allclose(bands["typical"], np.r_[log_mel.mean(0), log_mel.std(0)], rtol=1e-5)
    expected = np.r_[np.percentile(log_mel, 5, axis=0), np.diff(log_mel, axis=0).std(0)]
    np.testing.assert_allclose(bands["quiet"], expected, rtol=1e-5)
