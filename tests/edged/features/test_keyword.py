"""The keyword front end: exact for any chunking, blind to gain, nothing spans a gap."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.features.activity import sound_span
from edged.features.keyword import FRAMES, KeywordFeatures, KeywordFrames, KeywordSpec
from edged.features.level import LevelFollower
from edged.features.mel import mel_weights
from edged.flow import Block

SPEC = KeywordSpec()
SIGNAL = (np.random.default_rng(0).standard_normal(23_456) * 0.05).astype(np.float32)


def segments_of(signal, cuts=()):
    features, found, start = KeywordFeatures(SPEC), [], 0
    for end in [*cuts, len(signal)]:
        found += features.push(Block(start, signal[start:end]))
        start = end
    return found + features.flush()


@settings(max_examples=50)
@given(st.lists(st.integers(0, len(SIGNAL)), max_size=40))
def test_any_chunking_gives_the_same_bits(cuts):
    whole, parts = segments_of(SIGNAL), segments_of(SIGNAL, sorted(cuts))
    assert [(s.sample_start, s.sample_end) for s in whole] == [(s.sample_start, s.sample_end) for s in parts]
    assert all(np.array_equal(a.features[FRAMES], b.features[FRAMES]) for a, b in zip(whole, parts, strict=True))


def test_segments_account_for_every_sample_once():
    segments = segments_of(SIGNAL)
    assert segments[0].sample_start == 0
    assert segments[-1].sample_end == len(SIGNAL)
    assert all(a.sample_end == b.sample_start for a, b in itertools.pairwise(segments))
    assert all(s.features[FRAMES].shape == (SPEC.input_frames, SPEC.n_mels) for s in segments)


def test_segments_are_windows_of_one_pass():
    frames = KeywordFrames(SPEC)
    whole = np.concatenate([frames.push(SIGNAL), frames.flush()])
    padded = np.pad(whole, ((SPEC.context_left_frames, 100), (0, 0)), constant_values=SPEC.silence)
    for index, segment in enumerate(segments_of(SIGNAL)):
        first = index * SPEC.segment_frames
        np.testing.assert_array_equal(segment.features[FRAMES], padded[first : first + SPEC.input_frames])


@pytest.mark.parametrize("gain_db", [-20.0, 20.0])
def test_gain_changes_next_to_nothing(gain_db):
    louder = SIGNAL * np.float32(10.0 ** (gain_db / 20.0))
    for a, b in zip(segments_of(SIGNAL), segments_of(louder), strict=True):
        np.testing.assert_allclose(a.features[FRAMES], b.features[FRAMES], atol=2e-3)


def test_nothing_spans_a_gap():
    features = KeywordFeatures(SPEC)
    features.push(Block(0, SIGNAL[:10_000]))
    after = features.push(Block(12_000, SIGNAL[:8_000], lost_before=2_000)) + features.flush()
    ended = [s for s in after if s.sample_end <= 10_000]
    begun = [s for s in after if s.sample_start >= 12_000]
    assert len(ended) + len(begun) == len(after)
    fresh = segments_of(SIGNAL[:8_000])
    assert all(np.array_equal(a.features[FRAMES], b.features[FRAMES]) for a, b in zip(begun, fresh, strict=True))
    assert begun[-1].sample_end == 20_000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_what_is_no_sound_is_forgotten(value):
    sick = np.concatenate([SIGNAL, SIGNAL, np.tile(SIGNAL, 14)])
    sick[len(SIGNAL) : len(SIGNAL) + 500] = value
    segments, healthy = segments_of(sick), segments_of(np.concatenate([SIGNAL, SIGNAL, np.tile(SIGNAL, 14)]))
    assert all(np.isfinite(s.features[FRAMES]).all() for s in segments)
    for a, b in zip(segments[-5:], healthy[-5:], strict=True):
        np.testing.assert_allclose(a.features[FRAMES], b.features[FRAMES], atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 5))
def test_the_level_equals_its_recursion(seed, cuts, smooth_frames):
    frames_db = np.random.default_rng(seed).uniform(-120.0, 0.0, (sum(cuts), 3)).astype(np.float32)
    follower = LevelFollower(smooth_frames, 0.5, -60.0)
    levels_db = np.concatenate([follower.push(part) for part in np.split(frames_db, np.cumsum(cuts)[:-1])])
    power, level_db = np.sum(10.0 ** (frames_db.astype(np.float64) / 10.0), axis=1), -60.0
    for index, found_db in enumerate(levels_db):
        mean_power = power[max(0, index + 1 - smooth_frames) : index + 1].mean()
        level_db = max(10.0 * np.log10(mean_power), level_db - 0.5, -60.0)
        assert found_db == pytest.approx(level_db, abs=1e-9)


def test_silence_is_silence():
    assert all((s.features[FRAMES] == np.float32(SPEC.silence)).all() for s in segments_of(np.zeros(9_000, np.float32)))


def test_mel_bands_cover_the_spectrum_and_nothing_below_the_high_pass():
    weights = mel_weights(64, 1024, 16_000, 50.0, 8_000.0)
    assert weights.shape == (64, 513)
    assert (weights.sum(axis=1) > 0).all()
    assert weights[:, :4].sum() == 0.0  # 0 to 46.9 Hz
    with pytest.raises(ValueError, match="do not fit"):
        mel_weights(64, 1024, 16_000, 50.0, 9_000.0)


def test_sound_span_trims_silence_noise_and_clicks():
    rng = np.random.default_rng(1)
    clip = (rng.standard_normal(32_000) * 0.001).astype(np.float32)
    clip[12_000:20_000] += (rng.standard_normal(8_000) * 0.1).astype(np.float32)
    clip[2_000:2_040] = 0.5
    start, end = sound_span(clip)
    assert start == pytest.approx(12_000, abs=400)
    assert end == pytest.approx(20_000, abs=400)
    assert sound_span(np.zeros(16_000, np.float32)) is None
