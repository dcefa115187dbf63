"""Channels: telephone band with mu-law, microphones and loudspeakers as random equalisers, speed."""

from __future__ import annotations

import numpy as np
import soxr
from scipy.signal import oaconvolve

from edged.flow import SAMPLE_RATE_HZ, Float32Array

TELEPHONE_RATE_HZ = 8000
MU = 255.0


def telephone(signal: Float32Array, rng: np.random.Generator) -> Float32Array:
    """8 kHz, often without the lowest 300 Hz, 8-bit mu-law; same length and rate as the input."""
    narrow = soxr.resample(signal, SAMPLE_RATE_HZ, TELEPHONE_RATE_HZ)
    if rng.random() < 0.6:
        narrow = narrow - _low_pass(narrow, int(TELEPHONE_RATE_HZ / rng.uniform(150.0, 350.0)))
    peak = max(float(np.abs(narrow).max()), 1e-9) * float(rng.choice([0.7, 1.0, 1.0, 2.0]))  # loud callers are clipped
    narrow = np.clip(narrow / peak, -1.0, 1.0)
    compressed = np.round(np.sign(narrow) * np.log1p(MU * np.abs(narrow)) / np.log1p(MU) * 127.0) / 127.0
    narrow = np.sign(compressed) * np.expm1(np.abs(compressed) * np.log1p(MU)) / MU * peak
    wide = soxr.resample(narrow.astype(np.float32), TELEPHONE_RATE_HZ, SAMPLE_RATE_HZ)
    return np.asarray(np.pad(wide, (0, max(0, len(signal) - len(wide))))[: len(signal)], dtype=np.float32)


def _low_pass(signal: Float32Array, n_taps: int) -> Float32Array:
    window = np.hanning(n_taps + 2)[1:-1]
    return np.asarray(oaconvolve(signal, window / window.sum(), mode="same"), dtype=np.float32)


def random_equaliser(rng: np.random.Generator, signal: Float32Array, spread_db: float = 8.0) -> Float32Array:
    """A smooth random response over the whole band (eight control points, zero phase)."""
    gains_db = rng.uniform(-spread_db, spread_db, 8)
    n_fft = 512
    points = np.linspace(0.0, 1.0, 8)
    response_db = np.interp(np.sqrt(np.linspace(0.0, 1.0, n_fft // 2 + 1)), points, gains_db)
    taps = np.roll(np.fft.irfft(10.0 ** (response_db / 20.0)), n_fft // 2) * np.hanning(n_fft)
    return np.asarray(oaconvolve(signal, taps, mode="same"), dtype=np.float32)


def change_speed(signal: Float32Array, factor: float) -> Float32Array:
    """Faster and higher for ``factor`` > 1, as from a shorter speaker; length is divided by ``factor``."""
    rate_hz = round(SAMPLE_RATE_HZ * factor)
    return np.asarray(soxr.resample(signal, rate_hz, SAMPLE_RATE_HZ), dtype=np.float32)
