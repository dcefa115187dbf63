"""The machines of the demo's hall: a pump that turns and flows, a press that strikes.

Both take two curves of the scene, float32 (n,) between 0 and 1: `load` (how far the plant is at its other operating
point) and `fault` (how much of the fault is there). What one pump differs in from the next is drawn from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edged.demo.synthesis import (
    filtered,
    harmonics,
    pulses,
    ringing_response,
    shaped_noise,
    wander,
)
from edged.flow import SAMPLE_RATE_HZ, Float32Array, Float64Array


@dataclass(frozen=True)
class Pump:
    """A centrifugal pump; its fault is a pitted bearing: clicks at the ball-pass rate that ring the housing.

    Attributes:
        shaft_hz: turns per second at low and at full load.
        blades: of the impeller; they make the blade-pass tone.
        ball_pass_ratio: clicks per turn.
        housing_hz: what the clicks ring.
    """

    shaft_hz: tuple[float, float]
    blades: int
    ball_pass_ratio: float
    housing_hz: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Pump:
        """A pump of its own."""
        low_hz = rng.uniform(23.5, 25.5)
        return cls(
            shaft_hz=(low_hz, low_hz * rng.uniform(1.3, 1.4)),
            blades=int(rng.integers(5, 8)),
            ball_pass_ratio=rng.uniform(3.4, 3.7),
            housing_hz=rng.uniform(2700.0, 3500.0),
        )

    def sound(self, load: Float32Array, fault: Float32Array, rng: np.random.Generator) -> Float32Array:
        """The pump at its microphone, about RMS 1."""
        n_samples = len(load)
        low_hz, full_hz = self.shaft_hz
        shaft_hz = (low_hz + (full_hz - low_hz) * load) * (1 + 0.005 * wander(n_samples, 1.0, rng))
        shaft = harmonics(shaft_hz, [0.5 / k for k in range(1, 9)])
        blade_pass = harmonics(shaft_hz * self.blades, [0.55, 0.3, 0.2, 0.12, 0.08])
        flow = shaped_noise(n_samples, [(60, -20), (300, 0), (1200, -6), (3000, -22), (8000, -36)], rng)
        surge = shaped_noise(n_samples, [(200, -30), (900, -6), (2200, 0), (5000, -16), (8000, -30)], rng)
        blade_level, flow_level = (1 + 0.2 * wander(n_samples, 1.0, rng) for _ in range(2))
        normal = 0.5 * shaft + 0.6 * blade_level * blade_pass + flow_level * (0.6 * flow + 0.4 * load * surge)
        clicks = 0.35 * fault * self._clicks(shaft_hz, rng) if fault.any() else 0.0
        return np.asarray(normal + clicks, np.float32)

    def _clicks(self, shaft_hz: Float32Array, rng: np.random.Generator) -> Float32Array:
        turns = np.cumsum(shaft_hz, dtype=np.float64) / SAMPLE_RATE_HZ
        numbers = np.arange(1, int(turns[-1] * self.ball_pass_ratio))
        at_turn = (numbers + rng.normal(0, 0.02, len(numbers))) / self.ball_pass_ratio
        times_s = np.interp(at_turn, turns, np.arange(len(turns))) / SAMPLE_RATE_HZ
        strength = rng.uniform(0.6, 1.4, len(numbers)) * (1 + 0.5 * np.cos(2 * np.pi * at_turn))
        modes = [(self.housing_hz, 0.004, 1.0), (self.housing_hz * 1.43, 0.003, 0.6)]
        return filtered(pulses(len(shaft_hz), times_s, 6.0 * strength), ringing_response(modes))


@dataclass(frozen=True)
class Press:
    """A stamping press; its fault is a leaking air line: a hiss that does not stop between the strokes.

    Attributes:
        stroke_s: time between strokes at low and at full load.
        frame_hz: the frame's modes, struck by every stroke.
    """

    stroke_s: tuple[float, float]
    frame_hz: tuple[float, float, float]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Press:
        """A press of its own."""
        slow_s = rng.uniform(1.5, 1.7)
        return cls(
            stroke_s=(slow_s, slow_s * rng.uniform(0.6, 0.68)),
            frame_hz=(rng.uniform(160, 210), rng.uniform(420, 520), rng.uniform(1000, 1300)),
        )

    def sound(self, load: Float32Array, fault: Float32Array, rng: np.random.Generator) -> Float32Array:
        """The press at its microphone, about RMS 1."""
        n_samples = len(load)
        motor = harmonics(np.full(n_samples, 49.6, np.float32), [0.5, 0.3, 0.25, 0.1, 0.1, 0.05])
        gears = shaped_noise(n_samples, [(80, -10), (400, 0), (1500, -14), (4000, -34), (8000, -44)], rng)
        gear_level = 1 + 0.2 * wander(n_samples, 1.0, rng)
        idle = 0.35 * motor + (0.35 + 0.25 * load) * gear_level * gears
        leak = 0.045 * fault * self._leak(n_samples, rng) if fault.any() else 0.0
        return np.asarray(idle + self._strokes(load, rng) + leak, np.float32)

    def _leak(self, n_samples: int, rng: np.random.Generator) -> Float32Array:
        hiss = shaped_noise(n_samples, [(500, -40), (2500, -14), (4500, 0), (6500, -3), (8000, -9)], rng)
        return hiss * (1 + 0.2 * wander(n_samples, 1.0, rng))

    def _strokes(self, load: Float32Array, rng: np.random.Generator) -> Float32Array:
        """Impact, ringing frame, and the exhaust's puff a moment later."""
        times_s = self._stroke_times_s(load, rng)
        strength = rng.uniform(0.85, 1.15, len(times_s))
        low, mid, high = self.frame_hz
        frame = ringing_response([(low, 0.09, 1.0), (mid, 0.05, 0.8), (high, 0.03, 0.6), (high * 1.9, 0.015, 0.4)])
        impacts = filtered(pulses(len(load), times_s, 60.0 * strength), frame)
        gate = filtered(pulses(len(load), times_s + 0.22, strength), np.hanning(int(0.3 * SAMPLE_RATE_HZ)))
        puff = shaped_noise(len(load), [(300, -24), (1500, -6), (3500, 0), (8000, -6)], rng)
        return np.asarray(impacts + 0.5 * gate * puff, np.float32)

    def _stroke_times_s(self, load: Float32Array, rng: np.random.Generator) -> Float64Array:
        slow_s, fast_s = self.stroke_s
        rate_hz = 1 / (slow_s + (fast_s - slow_s) * load.astype(np.float64))
        strokes = np.cumsum(rate_hz) / SAMPLE_RATE_HZ
        numbers = np.arange(1, int(strokes[-1]) + 1) + rng.uniform(-0.5, 0)
        times_s = np.interp(numbers, strokes, np.arange(len(strokes))) / SAMPLE_RATE_HZ
        return np.asarray(times_s + rng.normal(0, 0.015, len(numbers)))
