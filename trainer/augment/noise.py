"""Noise at a given signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edged.flow import Float32Array


def active_power(signal: Float32Array, frame_samples: int = 400) -> float:
    """Mean power of the louder half of the signal's frames: the level of the speech, not of its pauses."""
    n_frames = max(1, len(signal) // frame_samples)
    powers = np.array([np.mean(np.square(part)) for part in np.array_split(signal, n_frames)])
    return float(np.mean(np.sort(powers)[len(powers) // 2 :]))


def coloured_noise(rng: np.random.Generator, n_samples: int, exponent: float) -> Float32Array:
    """Noise with a power spectrum of 1 / f ** exponent (0 white, 1 pink, 2 brown), float32 (n_samples,), RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    frequency = np.maximum(np.arange(len(spectrum)), 1.0 + n_samples / 800.0)  # flat below 20 Hz
    noise = np.fft.irfft(spectrum * frequency ** (-exponent / 2.0), n_samples)
    return np.asarray(noise / max(float(np.std(noise)), 1e-12), dtype=np.float32)


def mix_at_snr(signal: Float32Array, noise: Float32Array, snr_db: float) -> Float32Array:
    """``signal`` plus ``noise`` (same length), the noise scaled to ``snr_db`` below the speech."""
    noise_power = float(np.mean(np.square(noise)))
    if noise_power <= 0.0:
        return signal
    gain = np.sqrt(active_power(signal) / noise_power * 10.0 ** (-snr_db / 10.0))
    return np.asarray(signal + np.float32(gain) * noise, dtype=np.float32)


def cut_or_loop(rng: np.random.Generator, recording: Float32Array, n_samples: int) -> Float32Array:
    """A random stretch of ``n_samples`` of a recording, repeated if it is too short."""
    repeated = np.tile(recording, 1 + -(-n_samples // len(recording)))
    start = int(rng.integers(0, len(recording)))
    return repeated[start : start + n_samples]


def random_noise(rng: np.random.Generator, recordings: Sequence[Float32Array], n_samples: int) -> Float32Array:
    """Three times out of four a recording, else coloured noise."""
    if recordings and rng.random() < 0.75:
        return cut_or_loop(rng, recordings[int(rng.integers(len(recordings)))], n_samples)
    return coloured_noise(rng, n_samples, float(rng.uniform(0.0, 2.0)))
