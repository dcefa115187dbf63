"""Human factor cepstral coefficients: the features of the thesis's baseline without training (section 6.3.7).

    40 ms windows every 10 ms -> power spectrum -> triangles with critical bandwidths -> log -> cepstrum -> slopes

The triangles of MFCC end at their neighbours' centres, so their number sets their width. Those of HFCC are as wide as
the ear's critical band at their centre (Bark scale), however many there are, and overlap less.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.fft import dct

from edged.features.logmel import log_mel_db
from edged.flow import SAMPLE_RATE_HZ, Float32Array, Float64Array

WINDOW_SAMPLES, HOP_SAMPLES = 640, 160
N_BANDS, N_COEFFICIENTS = 24, 12
LOWEST_HZ, HIGHEST_HZ = 50.0, 8000.0
RANGE_DB = 60.0


def bark(frequency_hz: Float64Array | float) -> Float64Array:
    """Critical-band rate, 26.81 f / (1960 + f) - 0.53 (Traunmueller 1990).

    >>> round(float(bark(1000.0)), 2)
    8.53
    """
    f = np.asarray(frequency_hz, dtype=np.float64)
    return np.asarray(26.81 * f / (1960.0 + f) - 0.53)


def bark_to_hz(rate: Float64Array | float) -> Float64Array:
    """Inverse of :func:`bark`.

    >>> round(float(bark_to_hz(bark(440.0))), 6)
    440.0
    """
    z = np.asarray(rate, dtype=np.float64) + 0.53
    return np.asarray(1960.0 * z / (26.81 - z))


def critical_bandwidth_hz(frequency_hz: Float64Array | float) -> Float64Array:
    """Width of the critical band around a frequency, 25 + 75 (1 + 1.4 (f / kHz)^2)^0.69 (Zwicker and Terhardt 1980).

    >>> round(float(critical_bandwidth_hz(1000.0)))
    162
    """
    f_khz = np.asarray(frequency_hz, dtype=np.float64) / 1000.0
    return np.asarray(25.0 + 75.0 * (1.0 + 1.4 * f_khz**2) ** 0.69)


@functools.lru_cache(maxsize=4)
def hfcc_weights(n_bands: int = N_BANDS, n_fft: int = WINDOW_SAMPLES) -> Float32Array:
    """Triangles float32 (n_bands, n_fft // 2 + 1) with a peak of one and centres at equal distances on the Bark scale.

    Each falls to zero one critical band away from its centre: its area is that of a rectangle one critical band wide.
    The outermost centres lie where their triangles just fit between the lowest and the highest frequency.
    """
    candidates_hz = np.arange(LOWEST_HZ, HIGHEST_HZ)
    reach_hz = critical_bandwidth_hz(candidates_hz)
    fits = candidates_hz[(candidates_hz - reach_hz >= LOWEST_HZ) & (candidates_hz + reach_hz <= HIGHEST_HZ)]
    centres_hz = bark_to_hz(np.linspace(bark(fits[0]), bark(fits[-1]), n_bands))[:, None]  # (n_bands, 1)
    bins_hz = np.arange(n_fft // 2 + 1) * (SAMPLE_RATE_HZ / n_fft)
    weights = np.maximum(0.0, 1.0 - np.abs(bins_hz - centres_hz) / critical_bandwidth_hz(centres_hz))
    result = weights.astype(np.float32)
    result.flags.writeable = False
    return result


def hfcc(samples: Float32Array) -> Float32Array:
    """Coefficients 1 to 12 and their slopes, each with mean 0 and spread 1 over the signal.

    Args:
        samples: float32 (n_samples,), at 16 kHz.

    Returns:
        float32 (n_frames, 24), a row every 10 ms whose window is centred on its 160 samples.
    """
    n_frames = max(1, -(-len(samples) // HOP_SAMPLES))
    lead = (WINDOW_SAMPLES - HOP_SAMPLES) // 2
    padded = np.pad(samples, (lead, HOP_SAMPLES * n_frames + WINDOW_SAMPLES - len(samples))).astype(np.float32)
    bands_db = log_mel_db(padded, n_frames, hfcc_weights(), WINDOW_SAMPLES, HOP_SAMPLES)
    cepstrum = dct(np.maximum(bands_db, bands_db.max() - RANGE_DB), norm="ortho", axis=1)[:, 1 : 1 + N_COEFFICIENTS]
    slopes = np.gradient(cepstrum, axis=0) if n_frames > 1 else np.zeros_like(cepstrum)
    return np.concatenate([_standardised(cepstrum), _standardised(slopes)], axis=1)


def _standardised(rows: Float64Array | Float32Array) -> Float32Array:
    return np.asarray((rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-6), dtype=np.float32)
