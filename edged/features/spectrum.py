"""The magnitude spectrum of a whole segment: every constant frequency at the finest resolution (thesis 5.3.1)."""

from __future__ import annotations

import numpy as np

from edged.features.spectrogram import magnitude
from edged.flow import Float32Array


def segment_spectrum(samples: Float32Array) -> Float32Array:
    """|DFT| without the Nyquist bin, divided by the root of the length so that noise keeps its scale.

    Args:
        samples: float32 (n_samples,), n_samples even.

    Returns:
        float32 (n_samples // 2,): 80,000 bins for 10 s at 16 kHz.

    >>> segment_spectrum(np.ones(4, np.float32)).tolist()
    [2.0, 0.0]
    """
    half = len(samples) // 2
    return magnitude(np.fft.rfft(samples)[:half]) / np.float32(np.sqrt(len(samples)))


def first_bin(cutoff_hz: float, n_fft: int, sample_rate_hz: int) -> int:
    """First bin of an ``n_fft``-point DFT at or above a frequency; zeroing the ones below is the high-pass filter.

    >>> first_bin(200.0, 1024, 16_000)
    13
    """
    return int(np.ceil(cutoff_hz * n_fft / sample_rate_hz))
