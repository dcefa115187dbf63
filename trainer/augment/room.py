"""Rooms: exponentially decaying noise as an impulse response."""

from __future__ import annotations

import numpy as np
from scipy.signal import oaconvolve

from edged.flow import SAMPLE_RATE_HZ, Float32Array


def room_response(rng: np.random.Generator, reverberation_s: float, direct_to_reverberant_db: float) -> Float32Array:
    """Impulse response float32 (n,) whose first sample is the direct sound (1.0).

    Args:
        reverberation_s: time in which the tail falls by 60 dB.
        direct_to_reverberant_db: energy of the direct sound against that of the tail.
    """
    n_samples = max(2, int(reverberation_s * SAMPLE_RATE_HZ))
    gap = int(rng.uniform(0.001, 0.008) * SAMPLE_RATE_HZ)
    decay = 10.0 ** (-3.0 * np.arange(n_samples) / n_samples)
    tail = rng.standard_normal(n_samples) * decay
    tail[: min(gap, n_samples - 1)] = 0.0
    tail *= 10.0 ** (-direct_to_reverberant_db / 20.0) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail.astype(np.float32)


def in_random_room(rng: np.random.Generator, signal: Float32Array) -> Float32Array:
    """The signal, same length, in a room of 0.1 to 0.7 s heard from near or far."""
    response = room_response(rng, float(rng.uniform(0.1, 0.7)), float(rng.uniform(-3.0, 15.0)))
    return np.asarray(oaconvolve(signal, response)[: len(signal)], dtype=np.float32)
