"""Small deterministic sounds for tests: a humming machine, its fault, and words made of vowel-like glides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000


def machine(seconds: float, seed: int, *, fault: bool = False, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    """A motor at 25 Hz with harmonics in broadband noise; the fault adds a knocking at 90 Hz around 3 kHz."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    phases = rng.uniform(0, 2 * np.pi, 12)
    hum = sum(np.sin(2 * np.pi * 25 * (k + 1) * t + phases[k]) / (k + 1) for k in range(12))
    signal = 0.1 * np.asarray(hum) + 0.05 * rng.standard_normal(len(t))
    if fault:
        signal += 0.25 * np.sin(2 * np.pi * 3000 * t) * (np.sin(2 * np.pi * 90 * t) > 0.8)
    return (0.3 * signal).astype(np.float32)


def word(name: str, seed: int) -> NDArray[np.float32]:
    """A 0.7 s word-like glide of two formants, the same for a name, with a speaker's variation by seed."""
    rng = np.random.default_rng(seed)
    shape = np.random.default_rng(sum(map(ord, name)))
    n = round((0.65 + 0.1 * rng.uniform()) * RATE_HZ)
    t = np.linspace(0, 1, n)
    f0 = rng.uniform(100, 180) * (1 + 0.1 * np.sin(2 * np.pi * t))
    source = np.sign(np.sin(2 * np.pi * np.cumsum(f0) / RATE_HZ)) * 0.3
    low = np.interp(t, np.linspace(0, 1, 4), shape.uniform(250, 900, 4))
    high = np.interp(t, np.linspace(0, 1, 4), shape.uniform(1000, 3000, 4))
    voiced = source * (
        np.sin(2 * np.pi * np.cumsum(low) / RATE_HZ) + 0.7 * np.sin(2 * np.pi * np.cumsum(high) / RATE_HZ)
    )
    fade = np.minimum(1, np.minimum(t, 1 - t) * 12)
    return (0.5 * voiced * fade + 1e-4 * rng.standard_normal(n)).astype(np.float32)


def sentence(
    names: list[str], seed: int, *, gap_s: float = 0.25
) -> tuple[NDArray[np.float32], list[tuple[str, float, float]]]:
    """Words with pauses, and (name, onset_s, offset_s) of each."""
    rng = np.random.default_rng(seed)
    pieces = [1e-4 * rng.standard_normal(RATE_HZ)]
    truth = []
    for index, name in enumerate(names):
        spoken = word(name, seed * 100 + index)
        onset = sum(map(len, pieces)) / RATE_HZ
        truth.append((name, onset, onset + len(spoken) / RATE_HZ))
        pieces += [spoken, 1e-4 * rng.standard_normal(round(gap_s * RATE_HZ))]
    pieces.append(1e-4 * rng.standard_normal(RATE_HZ))
    return np.concatenate(pieces).astype(np.float32), truth
