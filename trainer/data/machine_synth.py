"""A synthetic plant: many machines, their operating points, faults, rooms and surrounding noise, all from one seed.

    machine (drawn once) -> operating point -> healthy or faulty -> room and microphone -> + noise at an SNR -> clip

A *domain* of a machine fixes operating point, room and the colour of the background; a shifted domain changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.data import synth_sound as sound
from trainer.data.machine_kinds import KINDS, Fault, Machine, OperatingPoint, draw_machine
from trainer.data.synth_sound import Room

NORMAL = "normal"
STEADY = OperatingPoint(speed=0.01, load=0.03)
"""How much speed and load of a machine at one operating point differ from clip to clip."""


@dataclass(frozen=True)
class Surroundings:
    """One acoustic domain of a machine.

    Attributes:
        point: how the machine is run.
        room: where it stands.
        noise_seed: colour of the steady background.
        snr_db: machine against everything else.
    """

    point: OperatingPoint
    room: Room
    noise_seed: int
    snr_db: float

    @classmethod
    def draw(cls, rng: np.random.Generator, snr_db: tuple[float, float] = (-5.0, 15.0)) -> Surroundings:
        """A place and a way of running."""
        point = OperatingPoint(rng.uniform(0.7, 1.3), rng.uniform(0.7, 1.3))
        return cls(point, Room.draw(rng), int(rng.integers(2**31)), rng.uniform(*snr_db))


@dataclass(frozen=True)
class PlantMachine:
    """A machine of the plant with its domains; `domains[0]` is the source."""

    name: str
    kind: str
    machine: Machine
    domains: tuple[Surroundings, ...]


def draw_plant(
    n_machines: int, seed: int, n_domains: int = 2, kinds: Sequence[str] = tuple(KINDS)
) -> list[PlantMachine]:
    """Machines of all kinds in turn, each with its domains."""
    plant = []
    for index in range(n_machines):
        rng = np.random.default_rng((seed, index))
        kind = kinds[index % len(kinds)]
        machine = draw_machine(kind, rng)
        domains = tuple(Surroundings.draw(rng) for _ in range(n_domains))
        plant.append(PlantMachine(f"{kind}-{index:03d}", kind, machine, domains))
    return plant


def render_clip(
    item: PlantMachine,
    seed: Sequence[int],
    *,
    domain: int = 0,
    fault: Fault | None = None,
    noises: Sequence[Float32Array] = (),
    duration_s: float = 10.0,
    rms: float = 0.03,
    drift: OperatingPoint = STEADY,
) -> Float32Array:
    """One recording.

    Args:
        item: the machine.
        seed: of everything that differs from clip to clip.
        domain: index into `item.domains`.
        fault: what is broken, or None.
        noises: recordings of any length; one of them passes by in the background of every other clip.
        rms: level of the result; a fault is not given away by loudness.
        drift: standard deviations of the relative changes of speed and load from clip to clip.

    Returns:
        float32 (n_samples,).
    """
    rng = np.random.default_rng(tuple(seed))
    n_samples = int(duration_s * SAMPLE_RATE_HZ)
    place = item.domains[domain]
    speed, load = (max(0.3, rng.normal(1.0, spread)) for spread in (drift.speed, drift.load))
    point = OperatingPoint(place.point.speed * speed, place.point.load * load)
    heard = sound.in_room(item.machine.render(n_samples, point, fault, rng), place.room)
    background = _background(n_samples, place, noises, rng)
    gain = 10.0 ** (-(place.snr_db + rng.normal(0.0, 1.0)) / 20.0)
    return np.asarray(rms * sound.unit_rms(sound.unit_rms(heard) + np.float32(gain) * background), np.float32)


def draw_fault(item: PlantMachine, rng: np.random.Generator, severity: tuple[float, float] = (0.3, 1.0)) -> Fault:
    """A fault this machine can have."""
    return Fault(str(rng.choice(item.machine.FAULTS)), rng.uniform(*severity))


def _background(
    n_samples: int, place: Surroundings, noises: Sequence[Float32Array], rng: np.random.Generator
) -> Float32Array:
    """Steady coloured noise of the place and, at times, a recorded sound passing by: RMS 1."""
    colour = np.random.default_rng(place.noise_seed)
    shape = sound.power_law(n_samples, colour.uniform(-7.0, -1.0)) * sound.random_curve(colour, n_samples, 4.0)
    steady = sound.shaped_noise(rng, n_samples, shape)
    if not noises or rng.uniform() < 0.5:
        return steady
    passing = np.resize(noises[int(rng.integers(len(noises)))], n_samples)
    shift = int(rng.integers(n_samples))
    return sound.unit_rms(steady + np.float32(rng.uniform(0.3, 1.5)) * sound.unit_rms(np.roll(passing, shift)))
