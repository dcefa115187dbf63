"""A hall with a machine in it: one microphone at the machine, one far from it, and what either hears of the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.fakes.sounds import RATE_HZ, machine

NOISE_NEAR = 0.5
MACHINE_FAR = 0.08
FADE_SAMPLES = 1600


@dataclass(frozen=True)
class Span:
    """From when to when something was to be heard."""

    start_s: float
    end_s: float

    def meets(self, start_s: float, end_s: float, slack_s: float = 1.5) -> bool:
        return start_s < self.end_s + slack_s and end_s > self.start_s - slack_s


@dataclass
class Scene:
    """Two channels, float32 (n_samples, 2): near, far. Noises are in both, faults at the machine."""

    sound: NDArray[np.float32]
    noises: list[Span] = field(default_factory=list)
    faults: list[Span] = field(default_factory=list)


def quiet(seconds: float, seed: int) -> NDArray[np.float32]:
    """The machine runs, and in the hall nothing happens: float32 (n_samples, 2)."""
    rng = np.random.default_rng((seed, 1))
    near = machine(seconds, seed) + 0.003 * rng.standard_normal(round(seconds * RATE_HZ))
    far = MACHINE_FAR * machine(seconds, seed) + 0.004 * rng.standard_normal(len(near))
    return np.stack([near, far], axis=1).astype(np.float32)


def scene(minutes: float, seed: int, *, n_noises: int, n_faults: int, n_both: int = 0) -> Scene:
    """Noises and faults at random moments, 20 s apart at least; `n_both` of the faults while a noise goes on."""
    rng = np.random.default_rng((seed, 2))
    result = Scene(quiet(60 * minutes, seed))
    slots = 15.0 + 60.0 * minutes * np.arange(n_noises + n_faults + n_both) / (n_noises + n_faults + n_both)
    kinds = rng.permutation([*["noise"] * n_noises, *["fault"] * n_faults, *["both"] * n_both])
    for start_s, kind in zip(slots, kinds, strict=True):
        span = Span(float(start_s), float(start_s + rng.uniform(5.0, 9.0)))
        if kind != "fault":
            noise = _fade(_noise(span, rng))
            _add(result.sound, span, NOISE_NEAR * noise, noise)
            result.noises.append(span)
        if kind != "noise":
            fault = _fade(_fault(span, rng))
            _add(result.sound, span, fault, MACHINE_FAR * fault)
            result.faults.append(span)
    return result


def _noise(span: Span, rng: np.random.Generator) -> NDArray[np.float64]:
    """A forklift's whine, compressed air or hammering, as loud in the hall as the machine is near it."""
    n = round((span.end_s - span.start_s) * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    air = np.diff(rng.standard_normal(n + 1))
    whine = np.sign(np.sin(2 * np.pi * rng.uniform(300, 900) * t)) * (1 + 0.5 * np.sin(2 * np.pi * 3 * t))
    hammer = rng.standard_normal(n) * np.exp(-40 * (t % 0.4))
    return 0.06 * (air, whine, 3 * hammer)[rng.integers(3)]


def _fault(span: Span, rng: np.random.Generator) -> NDArray[np.float64]:
    """Knocking of a band around some kilohertz, and a faint whistle."""
    t = np.arange(round((span.end_s - span.start_s) * RATE_HZ)) / RATE_HZ
    knock = np.sin(2 * np.pi * rng.uniform(2000, 4000) * t) * (np.sin(2 * np.pi * rng.uniform(60, 120) * t) > 0.8)
    return rng.uniform(0.02, 0.08) * (knock + 0.3 * np.sin(2 * np.pi * rng.uniform(4000, 6000) * t))


def _fade(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    ramp = np.minimum(1.0, np.arange(len(sound)) / FADE_SAMPLES)
    return sound * ramp * ramp[::-1]


def _add(sound: NDArray[np.float32], span: Span, near: NDArray[np.float64], far: NDArray[np.float64]) -> None:
    start = round(span.start_s * RATE_HZ)
    n = min(len(near), len(sound) - start)
    sound[start : start + n, 0] += near[:n]
    sound[start : start + n, 1] += far[:n]
