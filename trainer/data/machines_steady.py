"""Machines that run steadily: rotating ones (fans, motors, gearboxes) and flow (pumps, compressors, turbines)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edged.flow import SAMPLE_RATE_HZ, Float32Array, Float64Array
from trainer.data import synth_sound as sound
from trainer.data.machine_base import Fault, OperatingPoint, decaying, severity
from trainer.data.synth_sound import Modes


@dataclass(frozen=True)
class Rotating:
    """Fans, motors, gearboxes."""

    shaft_hz: float
    n_blades: int
    n_teeth: int
    orders: Float64Array
    blade_orders: Float64Array
    mesh_orders: Float64Array
    offsets: Float64Array
    mix: Float64Array
    noise_slope: float
    noise_bump_hz: float
    modulation: float
    bearing_order: float
    housing: Modes

    FAULTS: ClassVar[tuple[str, ...]] = (
        "imbalance",
        "bearing",
        "blade",
        "gear",
        "rub",
        "looseness",
        "rattle",
        "clogging",
    )

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Rotating:
        """A new machine."""
        return cls(
            shaft_hz=float(np.exp(rng.uniform(np.log(12.0), np.log(120.0)))),
            n_blades=int(rng.integers(2, 13)),
            n_teeth=int(rng.integers(15, 60)),
            orders=decaying(rng, 24, rng.uniform(0.6, 1.6)),
            blade_orders=decaying(rng, 10, rng.uniform(0.5, 1.5)),
            mesh_orders=decaying(rng, 4, 1.0) * rng.choice([0.0, 1.0]),
            offsets=rng.uniform(0.0, 2 * np.pi, 24),
            mix=10.0 ** (rng.uniform([-14, -12, -24, -6], [0, 2, -6, 4]) / 20.0),
            noise_slope=rng.uniform(-9.0, -1.0),
            noise_bump_hz=float(np.exp(rng.uniform(np.log(300.0), np.log(4000.0)))),
            modulation=rng.uniform(0.0, 0.5),
            bearing_order=rng.uniform(2.6, 6.4),
            housing=Modes.draw(rng, 6, 600.0, 6500.0),
        )

    def render(
        self, n_samples: int, point: OperatingPoint, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        """See `Machine.render`."""
        rate_hz = self.shaft_hz * point.speed
        phase = sound.shaft_phase(rng, n_samples, rate_hz, 0.002 + 0.01 * severity(fault, "looseness"))
        tonal = self._shaft(phase, fault) + self._blades(phase, fault) + self._mesh(phase, point, fault)
        body = tonal + self._flow(n_samples, phase, point, fault, rng)
        return (body + self._defects(n_samples, rate_hz, fault, rng)).astype(np.float32)

    def _shaft(self, phase: Float64Array, fault: Fault | None) -> Float32Array:
        orders = self.orders.copy()
        orders[0] *= 1.0 + 12.0 * severity(fault, "imbalance")
        loose = severity(fault, "looseness")
        result = self.mix[0] * sound.harmonics(phase, orders * (1.0 + 2.0 * loose), self.offsets)
        if loose:
            half = np.where(np.arange(24) % 2 == 0, self.orders, 0.0)
            result = result + 2.0 * loose * self.mix[0] * sound.harmonics(phase / 2.0, half, self.offsets)
        return np.asarray(result, np.float32)

    def _blades(self, phase: Float64Array, fault: Fault | None) -> Float32Array:
        tone = sound.harmonics(phase * self.n_blades, self.blade_orders, self.offsets[:10])
        uneven = severity(fault, "blade")
        return np.asarray(self.mix[1] * tone * (1.0 + 1.2 * uneven * np.cos(phase)), np.float32)

    def _mesh(self, phase: Float64Array, point: OperatingPoint, fault: Fault | None) -> Float32Array:
        tone = sound.harmonics(phase * self.n_teeth, self.mesh_orders, self.offsets[:4])
        sidebands = 0.2 + 1.5 * severity(fault, "gear")
        return np.asarray(self.mix[2] * point.load * tone * (1.0 + sidebands * np.cos(phase)), np.float32)

    def _flow(
        self, n: int, phase: Float64Array, point: OperatingPoint, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        clogged = severity(fault, "clogging")
        shape = sound.power_law(n, self.noise_slope - 4.0 * clogged) + sound.band(
            n, self.noise_bump_hz * point.speed, 0.4
        )
        depth = self.modulation + 0.6 * severity(fault, "blade")
        swell = 1.0 + depth * np.cos(self.n_blades * phase) + 0.5 * severity(fault, "blade") * np.cos(phase)
        slow = 1.0 + (0.03 + 0.35 * clogged) * sound.wander(rng, n, 3.0)
        return np.asarray(self.mix[3] * point.load * swell * slow * sound.shaped_noise(rng, n, shape), np.float32)

    def _defects(self, n: int, rate_hz: float, fault: Fault | None, rng: np.random.Generator) -> Float32Array:
        if fault is None or fault.name not in {"bearing", "gear", "rub", "rattle"}:
            return np.zeros(n, np.float32)
        if fault.name == "rattle":
            times = sound.random_times(rng, n, 4.0 + 12.0 * fault.severity)
        else:
            order = self.bearing_order if fault.name == "bearing" else 1.0
            times = sound.regular_times(rng, n, 1.0 / (rate_hz * order), 0.015)
        gains = fault.severity * rng.uniform(0.6, 1.4, len(times)) * (1.0 + 0.5 * np.cos(2 * np.pi * rate_hz * times))
        if fault.name == "rub":
            scrape = sound.shaped_noise(rng, n, sound.band(n, 3000.0, 0.8))
            return np.asarray(fault.severity * scrape * sound.bursts(times, 0.2 / rate_hz, n), np.float32)
        return 3.0 * sound.strikes(times, gains, self.housing, n)


@dataclass(frozen=True)
class Flow:
    """Pumps, compressors, turbines."""

    vane_hz: float
    vane_orders: Float64Array
    offsets: Float64Array
    pipe: Modes
    mix: Float64Array
    slope: float
    pulsation: float

    FAULTS: ClassVar[tuple[str, ...]] = ("cavitation", "leakage", "clogging", "surge", "vane", "bearing")

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Flow:
        """A new machine."""
        return cls(
            vane_hz=float(np.exp(rng.uniform(np.log(60.0), np.log(600.0)))),
            vane_orders=decaying(rng, 12, rng.uniform(0.6, 1.6)),
            offsets=rng.uniform(0.0, 2 * np.pi, 12),
            pipe=Modes.draw(rng, 8, 120.0, 4000.0),
            mix=10.0 ** (rng.uniform([-16, -4, -8], [-2, 2, 2]) / 20.0),
            slope=rng.uniform(-9.0, -1.0),
            pulsation=rng.uniform(0.0, 0.3),
        )

    def render(
        self, n_samples: int, point: OperatingPoint, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        """See `Machine.render`."""
        vane_hz = self.vane_hz * point.speed
        phase = sound.shaft_phase(rng, n_samples, vane_hz, 0.003)
        broken = severity(fault, "vane")
        tone = sound.harmonics(phase, self.vane_orders, self.offsets) * (1.0 + 1.3 * broken * np.cos(phase / 5.0))
        body = self.mix[0] * tone * (1.0 - 0.6 * severity(fault, "clogging"))
        body = (
            body + self._turbulence(n_samples, phase, point, fault, rng) + self._defects(n_samples, vane_hz, fault, rng)
        )
        return np.asarray(body, np.float32)

    def _turbulence(
        self, n: int, phase: Float64Array, point: OperatingPoint, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        clogged, surge = severity(fault, "clogging"), severity(fault, "surge")
        shape = sound.power_law(n, self.slope - 5.0 * clogged) * (1.0 + clogged * sound.band(n, 150.0, 1.0) * 4.0)
        rush = self.mix[1] * sound.shaped_noise(rng, n, shape)
        ringing = self.mix[2] * sound.shaped_noise(rng, n, np.abs(self.pipe.response(n)))
        beat = 1.0 + self.pulsation * np.cos(phase / 4.0)
        if surge:
            beat = beat * (
                1.0 + 0.8 * surge * np.sin(2 * np.pi * rng.uniform(0.8, 3.0) * np.arange(n) / SAMPLE_RATE_HZ)
            )
        return np.asarray(point.load * (rush * beat + ringing), np.float32)

    def _defects(self, n: int, vane_hz: float, fault: Fault | None, rng: np.random.Generator) -> Float32Array:
        if fault is None or fault.name not in {"cavitation", "leakage", "bearing"}:
            return np.zeros(n, np.float32)
        if fault.name == "leakage":
            hiss = sound.shaped_noise(rng, n, sound.band(n, rng.uniform(3000.0, 6500.0), 0.6))
            return np.asarray(0.8 * fault.severity * hiss, np.float32)
        if fault.name == "cavitation":
            times = sound.random_times(rng, n, 150.0 + 500.0 * fault.severity)
            gains = rng.exponential(0.8 * fault.severity, len(times))
            return sound.strikes(times, gains, Modes.draw(rng, 8, 1500.0, 7000.0).changed(quality=0.15), n)
        times = sound.regular_times(rng, n, 1.0 / (vane_hz / 5.0 * 3.6), 0.02)
        return sound.strikes(times, 2.0 * fault.severity * rng.uniform(0.6, 1.4, len(times)), self.pipe, n)
