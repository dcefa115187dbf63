"""Sound from formulas: filters, shaped noise, ringing modes, harmonics, rooms. All signals: float32 (n,), 16 kHz."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edged.flow import SAMPLE_RATE_HZ, Float32Array, Float64Array

_MIN_FFT_SAMPLES = 1 << 13
_NOISE_TAPS = 512


def seconds(n_samples: int) -> Float32Array:
    """Time of every sample, in seconds."""
    return np.arange(n_samples, dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)


def filtered(signal: Float32Array, response: Float64Array) -> Float32Array:
    """Convolution with an impulse response by overlap-add; as long as the signal.

    >>> filtered(np.array([1.0, 0.0, 0.0], np.float32), np.array([0.5, 0.25])).round(6).tolist()
    [0.5, 0.25, 0.0]
    """
    n_fft = max(_MIN_FFT_SAMPLES, 1 << (4 * len(response)).bit_length())
    chunk_samples = n_fft - len(response) + 1
    spectrum = np.fft.rfft(response, n_fft).astype(np.complex64)
    result = np.zeros(len(signal) + n_fft, np.float32)
    for start in range(0, len(signal), chunk_samples):
        chunk = np.fft.rfft(signal[start : start + chunk_samples], n_fft)
        result[start : start + n_fft] += np.fft.irfft(chunk * spectrum, n_fft).astype(np.float32)
    return result[: len(signal)]


def shaped_noise(n_samples: int, points: Sequence[tuple[float, float]], rng: np.random.Generator) -> Float32Array:
    """Gaussian noise, RMS 1, with a spectrum through (Hz, dB) points, interpolated over log-frequency."""
    frequency_hz = np.maximum(np.fft.rfftfreq(_NOISE_TAPS, 1 / SAMPLE_RATE_HZ), 1.0)
    gain_db = np.interp(np.log(frequency_hz), np.log([hz for hz, _ in points]), [db for _, db in points])
    response = np.roll(np.fft.irfft(10 ** (gain_db / 20)), _NOISE_TAPS // 2) * np.hanning(_NOISE_TAPS)
    white = rng.standard_normal(n_samples, np.float32)
    return filtered(white, np.asarray(response / np.linalg.norm(response)))


def ringing_response(modes: Sequence[tuple[float, float, float]]) -> Float64Array:
    """What a struck body does: a sum of (Hz, decay time in s, amplitude) modes, with unit energy."""
    n_samples = int(5 * max(decay_s for _, decay_s, _ in modes) * SAMPLE_RATE_HZ)
    time_s = seconds(n_samples).astype(np.float64)
    ringing = sum(a * np.exp(-time_s / decay_s) * np.sin(2 * np.pi * hz * time_s) for hz, decay_s, a in modes)
    return np.asarray(ringing / np.linalg.norm(ringing))


def room_response(reverberation_s: float, distance: float, rng: np.random.Generator) -> Float64Array:
    """A room from a machine to a microphone: the direct sound, then a decaying tail.

    Args:
        reverberation_s: time until the tail has fallen by 60 dB.
        distance: energy of the tail over that of the direct sound.
        rng: draws the tail.
    """
    n_samples = int(reverberation_s * SAMPLE_RATE_HZ)
    tail = rng.standard_normal(n_samples) * 10 ** (-3 * np.arange(n_samples) / n_samples)
    tail *= np.sqrt(distance) / np.linalg.norm(tail)
    tail[0] += 1.0
    return np.asarray(tail / np.linalg.norm(tail))


def harmonics(frequency_hz: Float32Array, amplitudes: Sequence[float]) -> Float32Array:
    """Sum of ``amplitudes[k] * cos((k+1) * phase)`` for a fundamental that may vary: float32 (n,).

    Each harmonic follows from the two before: cos(k p) = 2 cos(p) cos((k-1) p) - cos((k-2) p).
    """
    phase = np.cumsum(frequency_hz, dtype=np.float64) * (2 * np.pi / SAMPLE_RATE_HZ)
    first = np.cos(phase).astype(np.float32)
    before, now = np.ones_like(first), first
    total = np.zeros_like(first)
    for amplitude in amplitudes:
        total += np.float32(amplitude) * now
        before, now = now, 2 * first * now - before
    return total


def pulses(n_samples: int, times_s: Float64Array, amplitudes: Float64Array) -> Float32Array:
    """A train of single-sample pulses; those outside the signal are left out."""
    train = np.zeros(n_samples, np.float32)
    positions = np.round(times_s * SAMPLE_RATE_HZ).astype(np.int64)
    inside = (positions >= 0) & (positions < n_samples)
    np.add.at(train, positions[inside], amplitudes[inside].astype(np.float32))
    return train


def wander(n_samples: int, knot_s: float, rng: np.random.Generator) -> Float32Array:
    """A slow random curve between -1 and 1, one knot every `knot_s` seconds: float32 (n,)."""
    knots = rng.uniform(-1, 1, int(n_samples / SAMPLE_RATE_HZ / knot_s) + 3)
    return np.interp(seconds(n_samples), np.arange(len(knots)) * knot_s, knots).astype(np.float32)


def envelope(n_samples: int, intervals_s: Sequence[tuple[float, float]], ramp_s: float) -> Float32Array:
    """1 inside the intervals, 0 outside, with linear ramps that lie inside: float32 (n,)."""
    time_s = seconds(n_samples)
    total = np.zeros(n_samples, np.float32)
    for start_s, end_s in intervals_s:
        total += np.clip(np.minimum(time_s - start_s, end_s - time_s) / ramp_s, 0, 1).astype(np.float32)
    return total
