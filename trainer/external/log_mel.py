"""Log-mel frames in the dialects of the encoders people have: HTK or Slaney bands, natural or decimal logarithm."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from edged.features.mel import hz_to_mel, mel_to_hz
from edged.features.spectrogram import magnitude_frames
from edged.flow import Float32Array, Float64Array
from trainer.external.sidecar import LogMelInput

_LINEAR_HZ = 200.0 / 3.0
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = math.log(6.4) / 27.0


def slaney_to_hz(mel: Float64Array) -> Float64Array:
    """Slaney's mel scale: linear up to 1 kHz, 27 logarithmic steps from there to 6.4 kHz.

    >>> slaney_to_hz(np.array([15.0, 42.0])).round(6).tolist()
    [1000.0, 6400.0]
    """
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.asarray(np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, above), np.float64)


def hz_to_slaney(frequency_hz: float) -> float:
    """Inverse of `slaney_to_hz`.

    >>> round(hz_to_slaney(6400.0), 6), round(hz_to_slaney(500.0), 6)
    (42.0, 7.5)
    """
    if frequency_hz < _BREAK_HZ:
        return frequency_hz / _LINEAR_HZ
    return _BREAK_MEL + math.log(frequency_hz / _BREAK_HZ) / _LOG_STEP


def band_edges_hz(spec: LogMelInput, sample_rate_hz: int) -> Float64Array:
    """Lower edge, centres and upper edge of the bands: (n_mels + 2,)."""
    fmax_hz = spec.fmax_hz or sample_rate_hz / 2
    if spec.mel_scale == "slaney":
        return slaney_to_hz(np.linspace(hz_to_slaney(spec.fmin_hz), hz_to_slaney(fmax_hz), spec.n_mels + 2))
    return mel_to_hz(np.linspace(hz_to_mel(spec.fmin_hz), hz_to_mel(fmax_hz), spec.n_mels + 2))


@lru_cache(maxsize=8)
def band_weights(spec: LogMelInput, sample_rate_hz: int) -> Float32Array:
    """Triangles float32 (n_mels, n_fft // 2 + 1); read-only, shared by all callers."""
    edges_hz = band_edges_hz(spec, sample_rate_hz)
    bins_hz = np.arange(spec.n_fft // 2 + 1) * (sample_rate_hz / spec.n_fft)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]  # (n_mels, 1)
    weights = np.maximum(0.0, np.minimum((bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)))
    if spec.mel_norm == "slaney":
        weights *= 2.0 / (high - low)
    result = weights.astype(np.float32)
    result.flags.writeable = False
    return result


def log_mel_frames(samples: Float32Array, spec: LogMelInput, sample_rate_hz: int) -> Float32Array:
    """One window: float32 (n_samples,) -> (n_frames, n_mels)."""
    padded = np.pad(samples, spec.n_fft // 2, mode="reflect") if spec.centre else samples
    magnitudes = magnitude_frames(padded, spec.n_fft, spec.hop_samples)
    bands = magnitudes**spec.magnitude_power @ band_weights(spec, sample_rate_hz).T + np.float32(spec.floor)
    logarithm = np.log(bands) if spec.log_base == "e" else np.log10(bands)
    scale = 10.0 if spec.log_base == "db" else 1.0
    return np.asarray((scale * logarithm - spec.mean) / spec.std, np.float32)


def samples_of_frames(n_frames: int, spec: LogMelInput) -> int:
    """Length of the shortest window with so many frames."""
    return (n_frames - 1) * spec.hop_samples + (0 if spec.centre else spec.n_fft)
