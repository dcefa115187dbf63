"""Four kinds of machines, what each sounds like, and how each breaks.

A machine is drawn once (its geometry and resonances); a clip is rendered from it at an operating point, in a state of
wear, healthy or with a fault of some severity. Orders, pass frequencies and defect frequencies follow the mechanics:

    rotating   shaft orders, blade pass, gear mesh with sidebands, flow noise      fans, motors, gearboxes
    flow       turbulence, vane pass, pipe resonances                             pumps, compressors, turbines
    impulsive  strikes in a rhythm ringing through a body, exhaust hisses          valves, presses, punches
    sliding    trapezoidal motion: rolling noise and drive tones, end stops        sliders, conveyors, robots
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from edged.flow import SAMPLE_RATE_HZ, Float32Array, Float64Array
from trainer.data import synth_sound as sound
from trainer.data.synth_sound import Modes


@dataclass(frozen=True)
class OperatingPoint:
    """How the machine is run: `speed` and `load` relative to nominal (about 0.6 to 1.4)."""

    speed: float = 1.0
    load: float = 1.0


@dataclass(frozen=True)
class Fault:
    """What is broken: a name from the machine's `FAULTS`, and how badly (0 = healthy, 1 = severe)."""

    name: str
    severity: float


class Machine(Protocol):
    """Anything that can be heard healthy and broken."""

    @property
    def FAULTS(self) -> tuple[str, ...]:  # noqa: N802 - a constant of each kind
        """Names of the faults it can have."""

    def render(
        self, n_samples: int, point: OperatingPoint, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        """Dry sound of RMS about 1 when healthy: float32 (n_samples,)."""


def _severity(fault: Fault | None, name: str) -> float:
    return fault.severity if fault is not None and fault.name == name else 0.0


def _decaying(rng: np.random.Generator, n: int, slope: float) -> Float64Array:
    return np.asarray(rng.uniform(0.2, 1.0, n) / np.arange(1, n + 1) ** slope)


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
            orders=_decaying(rng, 24, rng.uniform(0.6, 1.6)),
            blade_orders=_decaying(rng, 10, rng.uniform(0.5, 1.5)),
            mesh_orders=_decaying(rng, 4, 1.0) * rng.choice([0.0, 1.0]),
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
        phase = sound.shaft_phase(rng, n_samples, rate_hz, 0.002 + 0.01 * _severity(fault, "looseness"))
        tonal = self._shaft(phase, fault) + self._blades(phase, fault) + self._mesh(phase, point, fault)
        body = tonal + self._flow(n_samples, phase, point, fault, rng)
        return (body + self._defects(n_samples, rate_hz, fault, rng)).astype(np.float32)

    def _shaft(self, phase: Float64Array, fault: Fault | None) -> Float32Array:
        orders = self.orders.copy()
        orders[0] *= 1.0 + 12.0 * _severity(fault, "imbalance")
        loose = _severity(fault, "looseness")
        result = self.mix[0] * sound.harmonics(phase, orders * (1.0 + 2.0 * loose), self.offsets)
        if loose:
            half = np.where(np.arange(24) % 2 == 0, self.orders, 0.0)
            result = result + 2.0 * loose * self.mix[0] * sound.harmonics(phase / 2.0, half, self.offsets)
        return np.asarray(result, np.float32)

    def _blades(self, phase: Float64Array, fault: Fault | None) -> Float32Array:
        tone = sound.harmonics(phase * self.n_blades, self.blade_orders, self.offsets[:10])
        uneven = _severity(fault, "blade")
        return np.asarray(self.mix[1] * tone * (1.0 + 1.2 * uneven * np.cos(phase)), np.float32)

    def _mesh(self, phase: Float64Array, point: OperatingPoint, fault: Fault | None) -> Float32Array:
        tone = sound.harmonics(phase * self.n_teeth, self.mesh_orders, self.offsets[:4])
        sidebands = 0.2 + 1.5 * _severity(fault, "gear")
        return np.asarray(self.mix[2] * point.load * tone * (1.0 + sidebands * np.cos(phase)), np.float32)

    def _flow(
        self, n: int, phase: Float64Array, point: OperatingPoint, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        clogged = _severity(fault, "clogging")
        shape = sound.power_law(n, self.noise_slope - 4.0 * clogged) + sound.band(
            n, self.noise_bump_hz * point.speed, 0.4
        )
        depth = self.modulation + 0.6 * _severity(fault, "blade")
        swell = 1.0 + depth * np.cos(self.n_blades * phase) + 0.5 * _severity(fault, "blade") * np.cos(phase)
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
            vane_orders=_decaying(rng, 12, rng.uniform(0.6, 1.6)),
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
        broken = _severity(fault, "vane")
        tone = sound.harmonics(phase, self.vane_orders, self.offsets) * (1.0 + 1.3 * broken * np.cos(phase / 5.0))
        body = self.mix[0] * tone * (1.0 - 0.6 * _severity(fault, "clogging"))
        body = (
            body + self._turbulence(n_samples, phase, point, fault, rng) + self._defects(n_samples, vane_hz, fault, rng)
        )
        return np.asarray(body, np.float32)

    def _turbulence(
        self, n: int, phase: Float64Array, point: OperatingPoint, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        clogged, surge = _severity(fault, "clogging"), _severity(fault, "surge")
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
        jitter = 0.01 + 0.08 * _severity(fault, "timing")
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
        gains = level * rng.uniform(0.85, 1.15, len(times)) * (1.0 - 0.7 * _severity(fault, "weak"))
        gains = gains * (rng.uniform(size=len(times)) >= 0.6 * _severity(fault, "missing"))
        times = times + _severity(fault, "sticking") * rng.exponential(0.08 * self.period_s, len(times))
        crack = _severity(fault, "crack")
        body = body.changed(frequency=1.0 - 0.12 * crack, quality=1.0 - 0.7 * crack)
        rebound = _severity(fault, "double")
        if rebound:
            times, gains = np.r_[times, times + rng.uniform(0.02, 0.06)], np.r_[gains, 0.8 * rebound * gains]
        return sound.strikes(times, gains, body, n_samples)

    def _hiss(
        self, n: int, period_s: float, start: float, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        leak = _severity(fault, "leakage")
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
            drive_orders=_decaying(rng, 10, rng.uniform(0.5, 1.4)),
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
        slip = _severity(fault, "slip")
        return np.asarray(speed * (1.0 + 0.25 * slip * sound.wander(rng, n, 12.0)).clip(0.0, 1.5), np.float32)

    def _stops(
        self, n: int, cycle_s: float, start: float, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        times = sound.regular_times(rng, n, cycle_s / 2.0, 0.004, -2.0 * start % 1.0 - self.dwell)
        hard = _severity(fault, "stop")
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


KINDS: dict[str, type[Rotating] | type[Flow] | type[Impulsive] | type[Sliding]] = {
    "rotating": Rotating,
    "flow": Flow,
    "impulsive": Impulsive,
    "sliding": Sliding,
}


def draw_machine(kind: str, rng: np.random.Generator) -> Rotating | Flow | Impulsive | Sliding:
    """A new machine of one of `KINDS`.

    Raises:
        KeyError: unknown kind.
    """
    return KINDS[kind].draw(rng)
