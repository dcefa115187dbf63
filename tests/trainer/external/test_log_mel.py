"""Bands and frames against edged's own bank, librosa's documented frequencies and a sum written out."""

import numpy as np
import pytest

from edged.features.mel import mel_weights
from trainer.external.log_mel import band_edges_hz, band_weights, log_mel_frames, samples_of_frames
from trainer.external.sidecar import LogMelInput

RATE = 16_000


def test_htk_bands_are_those_of_the_product() -> None:
    spec = LogMelInput(n_mels=20, n_fft=1024, fmin_hz=50.0)
    np.testing.assert_allclose(band_weights(spec, RATE), mel_weights(20, 1024, RATE, 50.0, 8000.0), atol=1e-6)


def test_slaney_bands_lie_where_librosa_documents_them() -> None:
    """`librosa.mel_frequencies(n_mels=40)` as printed in its manual, every seventh value and the last."""
    spec = LogMelInput(n_mels=38, mel_scale="slaney", fmax_hz=11025.0)
    edges = band_edges_hz(spec, 22_050)
    documented = [0.0, 597.221, 1222.042, 2262.393, 4188.417, 7754.107]
    np.testing.assert_allclose(edges[::7], documented, atol=0.002)
    assert edges[-1] == pytest.approx(11025.0)


def test_slaney_norm_gives_bands_equal_area() -> None:
    spec = LogMelInput(n_mels=10, n_fft=16_384, fmin_hz=300.0, mel_norm="slaney")
    areas = band_weights(spec, RATE).sum(axis=1) * RATE / 16_384
    np.testing.assert_allclose(areas, 1.0, rtol=1e-3)


@pytest.mark.parametrize("base", ["e", "10", "db"])
@pytest.mark.parametrize("power", [1, 2])
def test_frames_equal_the_formula(base: str, power: int) -> None:
    spec = LogMelInput(
        n_mels=6, n_fft=256, hop_samples=100, magnitude_power=power, log_base=base, floor=0.01, mean=2.0, std=3.0
    )
    samples = np.random.default_rng(0).standard_normal(700).astype(np.float32)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    weights = band_weights(spec, RATE)
    frames = log_mel_frames(samples, spec, RATE)
    assert frames.shape == (5, 6)
    for k in range(5):
        magnitude = np.abs(np.fft.rfft(samples[100 * k : 100 * k + 256] * window))
        band = weights @ magnitude**power + 0.01
        value = np.log(band) if base == "e" else np.log10(band) * (10.0 if base == "db" else 1.0)
        np.testing.assert_allclose(frames[k], (value - 2.0) / 3.0, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("n_frames", [4, 9])
def test_the_shortest_window_of_so_many_frames(centre: bool, n_frames: int) -> None:
    spec = LogMelInput(n_mels=6, n_fft=256, hop_samples=100, centre=centre)
    n_samples = samples_of_frames(n_frames, spec)
    assert len(log_mel_frames(np.ones(n_samples, np.float32), spec, RATE)) == n_frames
    assert len(log_mel_frames(np.ones(n_samples - 1, np.float32), spec, RATE)) == n_frames - 1


def test_a_centred_frame_is_mirrored_at_the_start() -> None:
    spec = LogMelInput(n_mels=6, n_fft=256, hop_samples=100, centre=True)
    samples = np.random.default_rng(1).standard_normal(600).astype(np.float32)
    mirrored = np.r_[samples[128:0:-1], samples[:128]].astype(np.float32)
    plain = spec.model_copy(update={"centre": False})
    np.testing.assert_allclose(log_mel_frames(samples, spec, RATE)[0], log_mel_frames(mirrored, plain, RATE)[0])
