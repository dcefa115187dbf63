"""Building blocks of machine sounds: shafts, strikes on resonant bodies, shaped noise, rooms. Seeded numpy, vectorised.

All signals are float32 (n_samples,) at 16 kHz; spectra are those of `np.fft.rfft` for the same length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.flow import SAMPLE_RATE_HZ, Float32Array, Float64Array

ComplexArray = NDArray[np.complexfloating]


@dataclass(frozen=True)
class Modes:
    """Resonances of a body: (n_modes,) each.

    Attributes:
        frequency_hz: where it rings.
        quality: how long: about `quality` periods.
        gain: how strongly.
    """

    frequency_hz: Float64Array
    quality: Float64Array
    gain: Float64Array

    @classmethod
    def draw(cls, rng: np.random.Generator, n_modes: int, low_hz: float, high_hz: float) -> Modes:
        """Random resonances, log-uniform in frequency."""
        frequency = np.exp(rng.uniform(np.log(low_hz), np.log(high_hz), n_modes))
        return cls(frequency, rng.uniform(8.0, 80.0, n_modes), rng.uniform(0.2, 1.0, n_modes))

    def changed(self, frequency: float = 1.0, quality: float = 1.0) -> Modes:
        """The body after damage: a crack lowers its frequencies and dampens it."""
        return Modes(self.frequency_hz * frequency, self.quality * quality, self.gain)

    def response(self, n_samples: int) -> ComplexArray:
        """Transfer function (n_samples // 2 + 1,), largest magnitude 1."""
        f = frequencies_hz(n_samples)
        total = np.zeros(len(f), np.complex128)
        for f0, q, gain in zip(self.frequency_hz, self.quality, self.gain, strict=True):
            total += gain * f0 * f0 / q / (f0 * f0 - f * f + 1j * f * f0 / q)
        return np.asarray(total / max(float(np.abs(total).max()), 1e-12))


def frequencies_hz(n_samples: int) -> Float64Array:
    """Frequency of every rfft bin."""
    return np.asarray(np.fft.rfftfreq(n_samples, 1.0 / SAMPLE_RATE_HZ), np.float64)


def unit_rms(signal: Float32Array) -> Float32Array:
    """Scaled to an RMS of one; silence stays silent."""
    rms = float(np.sqrt(np.mean(np.square(signal, dtype=np.float64))))
    return (signal / rms).astype(np.float32) if rms > 1e-9 else signal.astype(np.float32)


def wander(rng: np.random.Generator, n_samples: int, rate_hz: float) -> Float32Array:
    """Slow random curve of mean 0 and deviation about 1 that changes `rate_hz` times a second."""
    n_knots = max(4, int(n_samples / SAMPLE_RATE_HZ * rate_hz) + 3)
    knots = rng.standard_normal(n_knots)
    return np.interp(np.linspace(0, n_knots - 1, n_samples), np.arange(n_knots), knots).astype(np.float32)


def shaft_phase(rng: np.random.Generator, n_samples: int, rate_hz: float, jitter: float) -> Float64Array:
    """Angle of a shaft in radians: a mean rate with slow relative fluctuations of size `jitter`."""
    speed = rate_hz * (1.0 + jitter * wander(rng, n_samples, 1.5).astype(np.float64))
    return 2.0 * np.pi * (np.cumsum(speed) / SAMPLE_RATE_HZ + rng.uniform())


def harmonics(phase: Float64Array, amplitudes: Float64Array, offsets: Float64Array) -> Float32Array:
    """sum_k a_k sin(k phase + o_k), k = 1 ...; orders above the Nyquist frequency are left out."""
    step = np.exp(1j * phase).astype(np.complex64)
    rate_hz = (phase[-1] - phase[0]) / (2.0 * np.pi) / len(phase) * SAMPLE_RATE_HZ
    power, total = np.ones_like(step), np.zeros(len(phase), np.float32)
    for order, (amplitude, offset) in enumerate(zip(amplitudes, offsets, strict=True), start=1):
        if order * rate_hz > 0.48 * SAMPLE_RATE_HZ:
            break
        power = power * step
        if amplitude:
            total += np.float32(amplitude) * (power * np.complex64(np.exp(1j * offset))).imag
    return total


def shaped_noise(rng: np.random.Generator, n_samples: int, gain: Float64Array) -> Float32Array:
    """Gaussian noise with the given magnitude spectrum, RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(n_samples)) * gain
    return unit_rms(np.fft.irfft(spectrum, n_samples).astype(np.float32))


def power_law(n_samples: int, slope_db_per_octave: float, corner_hz: float = 100.0) -> Float64Array:
    """Magnitudes that fall by a slope above a corner frequency."""
    octaves = np.log2(np.maximum(frequencies_hz(n_samples), corner_hz) / corner_hz)
    return np.asarray(10.0 ** (slope_db_per_octave * octaves / 20.0))


def band(n_samples: int, centre_hz: float, width_octaves: float) -> Float64Array:
    """A bell over log-frequency: magnitudes 0 to 1."""
    octaves = np.log2(np.maximum(frequencies_hz(n_samples), 1.0) / centre_hz)
    return np.asarray(np.exp(-0.5 * np.square(octaves / width_octaves)))


def random_curve(rng: np.random.Generator, n_samples: int, depth_db: float, n_knots: int = 10) -> Float64Array:
    """A smooth random gain over log-frequency, as microphones and housings have: magnitudes around 1."""
    octaves = np.log2(np.maximum(frequencies_hz(n_samples), 30.0) / 30.0)
    gains_db = depth_db * rng.standard_normal(n_knots)
    return np.asarray(10.0 ** (np.interp(octaves, np.linspace(0, 8.1, n_knots), gains_db) / 20.0))


def strikes(times_s: Float64Array, gains: Float64Array, modes: Modes, n_samples: int) -> Float32Array:
    """Impulses at given times ringing through a resonant body; peak of a lone strike about its gain."""
    index = np.round(times_s * SAMPLE_RATE_HZ).astype(np.int64)
    inside = (index >= 0) & (index < n_samples)
    train = np.zeros(n_samples)
    np.add.at(train, index[inside], gains[inside])
    response = modes.response(n_samples)
    lone_peak = float(np.abs(np.fft.irfft(response, n_samples)).max())
    return (np.fft.irfft(np.fft.rfft(train) * response, n_samples) / max(lone_peak, 1e-12)).astype(np.float32)


def regular_times(
    rng: np.random.Generator, n_samples: int, period_s: float, jitter: float, phase: float | None = None
) -> Float64Array:
    """Times of a repeated event in seconds; each misses its beat by `jitter` periods (standard deviation)."""
    n = int(n_samples / SAMPLE_RATE_HZ / period_s) + 2
    start = rng.uniform() if phase is None else phase
    return np.asarray((np.arange(n) + start + jitter * rng.standard_normal(n)) * period_s)


def random_times(rng: np.random.Generator, n_samples: int, rate_hz: float) -> Float64Array:
    """Times of independent events (Poisson)."""
    duration_s = n_samples / SAMPLE_RATE_HZ
    return np.sort(rng.uniform(0.0, duration_s, rng.poisson(rate_hz * duration_s)))


def bursts(times_s: Float64Array, length_s: float, n_samples: int) -> Float32Array:
    """An envelope: 1 at each time, then an exponential decay."""
    train = np.zeros(n_samples)
    index = np.round(times_s * SAMPLE_RATE_HZ).astype(np.int64)
    train[index[(index >= 0) & (index < n_samples)]] = 1.0
    decay = np.exp(-np.arange(n_samples) / (length_s * SAMPLE_RATE_HZ))
    envelope = np.fft.irfft(np.fft.rfft(train, 2 * n_samples) * np.fft.rfft(decay, 2 * n_samples))[:n_samples]
    return np.clip(envelope, 0.0, 1.5).astype(np.float32)


@dataclass(frozen=True)
class Room:
    """A place: its reverberation and its microphone's colour, fixed by a seed.

    Attributes:
        seed: everything else follows from it.
        t60_s: reverberation time.
        wet: share of the reverberant sound, 0 to 1.
        colour_db: spread of the microphone's response.
    """

    seed: int
    t60_s: float
    wet: float
    colour_db: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Room:
        """Between a padded box and a hall."""
        return cls(int(rng.integers(2**31)), rng.uniform(0.08, 0.9), rng.uniform(0.05, 0.6), rng.uniform(1.0, 4.0))

    def response(self, n_samples: int) -> ComplexArray:
        """Transfer function (n_samples // 2 + 1,) from source to recording."""
        rng = np.random.default_rng(self.seed)
        length = int(self.t60_s * SAMPLE_RATE_HZ)
        tail = rng.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
        tail[: int(0.003 * SAMPLE_RATE_HZ)] = 0.0
        tail *= self.wet / max(float(np.linalg.norm(tail)), 1e-9)
        tail[0] = 1.0 - self.wet
        colour = random_curve(rng, n_samples, self.colour_db)
        return np.asarray(np.fft.rfft(tail[:n_samples], n_samples) * colour)


def in_room(signal: Float32Array, room: Room) -> Float32Array:
    """The signal as the room's microphone hears it (circular at the ends, so that no fade gives clips away)."""
    n_samples = len(signal)
    return np.fft.irfft(np.fft.rfft(signal) * room.response(n_samples), n_samples).astype(np.float32)
