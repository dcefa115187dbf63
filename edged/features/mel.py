"""The mel filter bank both front ends share: triangles on the HTK mel scale with a peak of one."""

from __future__ import annotations

import functools

import numpy as np

from edged.flow import Float32Array, Float64Array


def hz_to_mel(frequency_hz: Float64Array | float) -> Float64Array:
    """HTK mel scale, 2595 log10(1 + f / 700).

    >>> round(float(hz_to_mel(1000.0)))
    1000
    """
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(frequency_hz, dtype=np.float64) / 700.0))


def mel_to_hz(mel: Float64Array | float) -> Float64Array:
    """Inverse of :func:`hz_to_mel`.

    >>> round(float(mel_to_hz(hz_to_mel(440.0))), 6)
    440.0
    """
    return np.asarray(700.0 * (10.0 ** (np.asarray(mel, dtype=np.float64) / 2595.0) - 1.0))


@functools.lru_cache(maxsize=8)
def mel_weights(n_mels: int, n_fft: int, sample_rate_hz: int, fmin_hz: float, fmax_hz: float) -> Float32Array:
    """Weights float32 (n_mels, n_fft // 2 + 1) for a power spectrum; read-only, shared by all callers.

    Bins at or below ``fmin_hz`` weigh nothing: a high-pass that costs nothing and has no state. A triangle narrower
    than one bin would be empty; it gets the bin nearest to its centre.

    Raises:
        ValueError: unless ``0 <= fmin_hz < fmax_hz <= sample_rate_hz / 2``.
    """
    if not 0 <= fmin_hz < fmax_hz <= sample_rate_hz / 2:
        raise ValueError(f"mel bands from {fmin_hz} Hz to {fmax_hz} Hz do not fit a rate of {sample_rate_hz} Hz")
    edges_hz = mel_to_hz(np.linspace(hz_to_mel(fmin_hz), hz_to_mel(fmax_hz), n_mels + 2))
    bins_hz = np.arange(n_fft // 2 + 1) * (sample_rate_hz / n_fft)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]  # (n_mels, 1)
    rising = (bins_hz - low) / (centre - low)
    falling = (high - bins_hz) / (high - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling))  # (n_mels, n_fft // 2 + 1)
    for band in np.flatnonzero(weights.sum(axis=1) == 0.0):
        weights[band, np.argmin(np.abs(bins_hz - edges_hz[band + 1]))] = 1.0
    result = weights.astype(np.float32)
    result.flags.writeable = False
    return result
