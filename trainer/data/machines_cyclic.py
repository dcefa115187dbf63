"""Machines that work in cycles: impulsive ones (valves, presses, punches) and sliding ones (axes, conveyors)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edged.flow import SAMPLE_RATE_HZ, Float32Array, Float64Array
from trainer.data import synth_sound as sound
from trainer.data.machine_base import Fault, OperatingPoint, decaying, severity
from trainer.data.synth_sound import Modes


@dataclass(frozen=True)
class Impulsive:
    """Valves, presses, punches: one or two strikes per cycle."""

    period_s: float
    pattern: Float64Array
    levels: Float64Array
    bodies: tuple[Modes, ...]
    hiss_hz: float
    hiss_s: float
    mix: Float64Array
    slope: float

    FAULTS: ClassVar[tuple[str, ...]] = ("missing", "weak", "double", "timing", "crack", "leakage", "sticking")

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Impulsive:
        """A new machine."""
        n_strikes = int(rng.integers(1, 4))
        return cls(
            period_s=float(np.exp(rng.uniform(np.log(0.15), np.log(2.5)))),
            pattern=np.sort(rng.uniform(0.0, 0.8, n_strikes)),
            levels=rng.uniform(0.4, 1.0, n_strikes),
            bodies=tuple(Modes.draw(rng, 8, 200.0, 7000.0) for _ in range(n_strikes)),
            hiss_hz=rng.uniform(1500.0, 6000.0),
            hiss_s=rng.uniform(0.01, 0.15),
            mix=10.0 ** (rng.uniform([0, -20, -24], [0, -4, -8]) / 20.0),
            slope=rng.uniform(-8.0, -1.0),
        )

    def render(
        self, n_samples: int, point: OperatingPoint, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        """See `Machine.render`."""
        period_s, start = self.period_s / point.speed, rng.uniform()
        total = self.mix[2] * sound.shaped_noise(rng, n_samples, sound.power_law(n_samples, self.slope))
        jitter = 0.01 + 0.08 * severity(fault, "timing")
        for phase, level, body in zip(self.pattern, self.levels, self.bodies, strict=True):
            times = sound.regular_times(rng, n_samples, period_s, jitter, start + phase - 1.0)
            total = total + self._strike(times, level * point.load, body, fault, rng, n_samples=n_samples)
        hisses = self._hiss(n_samples, period_s, start, fault, rng)
        return np.asarray(4.0 * total + 4.0 * hisses, np.float32)

    def _strike(
        self,
        times: Float64Array,
        level: float,
        body: Modes,
        fault: Fault | None,
        rng: np.random.Generator,
        *,
        n_samples: int,
    ) -> Float32Array:
        gains = level * rng.uniform(0.85, 1.15, len(times)) * (1.0 - 0.7 * severity(fault, "weak"))
        gains = gains * (rng.uniform(size=len(times)) >= 0.6 * severity(fault, "missing"))
        times = times + severity(fault, "sticking") * rng.exponential(0.08 * self.period_s, len(times))
        crack = severity(fault, "crack")
        body = body.changed(frequency=1.0 - 0.12 * crack, quality=1.0 - 0.7 * crack)
        rebound = severity(fault, "double")
        if rebound:
            times, gains = np.r_[times, times + rng.uniform(0.02, 0.06)], np.r_[gains, 0.8 * rebound * gains]
        return sound.strikes(times, gains, body, n_samples)

    def _hiss(
        self, n: int, period_s: float, start: float, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        leak = severity(fault, "leakage")
        times = sound.regular_times(rng, n, period_s, 0.01, start + float(self.pattern[0]) - 1.0)
        envelope = self.mix[1] * sound.bursts(times, self.hiss_s * (1.0 + 2.0 * leak), n) + 0.12 * leak
        return np.asarray(envelope * sound.shaped_noise(rng, n, sound.band(n, self.hiss_hz, 0.7)), np.float32)


@dataclass(frozen=True)
class Sliding:
    """Sliders, conveyors, robot axes: to and fro."""

    cycle_s: float
    dwell: float
    drive_hz: float
    drive_orders: Float64Array
    offsets: Float64Array
    stop: Modes
    rail_hz: float
    mix: Float64Array

    FAULTS: ClassVar[tuple[str, ...]] = ("dry", "squeak", "grinding", "stop", "slip", "rattle")

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Sliding:
        """A new machine."""
        return cls(
            cycle_s=rng.uniform(0.5, 4.0),
            dwell=rng.uniform(0.05, 0.6),
            drive_hz=float(np.exp(rng.uniform(np.log(80.0), np.log(900.0)))),
            drive_orders=decaying(rng, 10, rng.uniform(0.5, 1.4)),
            offsets=rng.uniform(0.0, 2 * np.pi, 10),
            stop=Modes.draw(rng, 6, 150.0, 5000.0),
            rail_hz=float(np.exp(rng.uniform(np.log(400.0), np.log(4000.0)))),
            mix=10.0 ** (rng.uniform([-16, -4, -6, -30], [0, 2, 8, -14]) / 20.0),
        )

    def render(
        self, n_samples: int, point: OperatingPoint, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        """See `Machine.render`."""
        cycle_s, start = self.cycle_s / point.speed, rng.uniform()
        speed = self._speed(n_samples, cycle_s, start, fault, rng)
        phase = 2.0 * np.pi * self.drive_hz * point.speed * np.cumsum(speed, dtype=np.float64) / SAMPLE_RATE_HZ
        tone = self.mix[0] * sound.harmonics(phase + 1e-9, self.drive_orders, self.offsets) * (speed > 0.02)
        rolling = (
            self.mix[1] * point.load * sound.shaped_noise(rng, n_samples, sound.band(n_samples, self.rail_hz, 1.2))
        )
        rest = self.mix[3] * sound.shaped_noise(rng, n_samples, sound.power_law(n_samples, -3.0))
        stops = self._stops(n_samples, cycle_s, start, fault, rng)
        return np.asarray(
            tone + rolling * speed + rest + stops + self._defects(n_samples, speed, fault, rng), np.float32
        )

    def _speed(
        self, n: int, cycle_s: float, start: float, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        """|velocity| of the carriage, 0 to 1: a trapezoid per stroke, a pause at either end."""
        place = (np.arange(n) / SAMPLE_RATE_HZ / cycle_s + start) * 2.0 % 1.0
        ramp = np.minimum(place, 1.0 - self.dwell - place) / (0.15 * (1.0 - self.dwell))
        speed = np.clip(ramp, 0.0, 1.0)
        slip = severity(fault, "slip")
        return np.asarray(speed * (1.0 + 0.25 * slip * sound.wander(rng, n, 12.0)).clip(0.0, 1.5), np.float32)

    def _stops(
        self, n: int, cycle_s: float, start: float, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        times = sound.regular_times(rng, n, cycle_s / 2.0, 0.004, -2.0 * start % 1.0 - self.dwell)
        hard = severity(fault, "stop")
        body = self.stop.changed(frequency=1.0 - 0.1 * hard, quality=1.0 + hard)
        gains = self.mix[2] * (1.0 + 3.0 * hard) * rng.uniform(0.8, 1.2, len(times))
        return sound.strikes(times, gains, body, n)

    def _defects(self, n: int, speed: Float32Array, fault: Fault | None, rng: np.random.Generator) -> Float32Array:
        if fault is None or fault.name not in {"dry", "squeak", "grinding", "rattle"}:
            return np.zeros(n, np.float32)
        if fault.name == "squeak":
            phase = 2 * np.pi * np.cumsum(1500.0 + 1200.0 * speed + 40.0 * sound.wander(rng, n, 8.0)) / SAMPLE_RATE_HZ
            gate = (sound.wander(rng, n, 4.0) > 0.8 - fault.severity) & (speed > 0.5)
            return np.asarray(0.7 * fault.severity * np.sin(phase) * gate, np.float32)
        if fault.name == "rattle":
            times = sound.random_times(rng, n, 5.0 + 20.0 * fault.severity)
            return sound.strikes(times, 2.0 * fault.severity * rng.uniform(0.5, 1.0, len(times)), self.stop, n)
        rough = sound.shaped_noise(rng, n, sound.band(n, 3500.0 if fault.name == "dry" else 900.0, 0.9))
        if fault.name == "grinding":
            rough = rough * (1.0 + np.sin(2 * np.pi * 30.0 * np.cumsum(speed) / SAMPLE_RATE_HZ)).astype(np.float32)
        return np.asarray(0.9 * fault.severity * rough * speed, np.float32)
