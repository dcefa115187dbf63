"""The demo's plant hall as three microphones hear it, and the clips an engineer would have recorded there before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edged.demo.machines import Press, Pump
from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from edged.demo.synthesis import envelope, filtered, room_response, seconds, shaped_noise, wander
from edged.demo.timeline import HALL, MACHINES, PRESS, PUMP, SpokenWord, Timeline, drawn_timeline
from edged.flow import SAMPLE_RATE_HZ, Float32Array, Float64Array

CLIP_S = 10.0
MACHINE_LEVEL = 0.05
HALL_LEVEL = 0.01
SPEECH_LEVEL = 0.06
LOAD_RAMP_S = 4.0
FAULT_RAMP_S = 2.0


@dataclass(frozen=True)
class Plant:
    """One hall with its two machines, drawn from a seed; it sounds the same in the scene and in the clips."""

    pump: Pump
    press: Press
    near: Mapping[str, Float64Array]
    far: Mapping[str, Float64Array]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Plant:
        """A hall of its own: machines, and rooms from each machine to its own and to the other microphones."""
        return cls(
            pump=Pump.drawn(rng),
            press=Press.drawn(rng),
            near={name: room_response(0.35, 0.3, rng) for name in (PUMP, PRESS)},
            far={name: room_response(0.6, 3.0, rng) for name in (PUMP, PRESS, HALL)},
        )

    def heard(
        self, load: Float32Array, faults: Mapping[str, Float32Array], rng: np.random.Generator
    ) -> dict[str, Float32Array]:
        """What the microphones hear, speech apart: stream -> float32 (n,), full scale +-1."""
        none = np.zeros_like(load)
        pump = self.pump.sound(load, faults.get(PUMP, none), rng)
        press = self.press.sound(load, faults.get(PRESS, none), rng)
        far_pump, far_press = filtered(pump, self.far[PUMP]), filtered(press, self.far[PRESS])
        at_pump, at_press, in_hall = _air(load, rng)
        return {
            PUMP: MACHINE_LEVEL * (filtered(pump, self.near[PUMP]) + 0.02 * far_press + 0.12 * at_pump),
            PRESS: MACHINE_LEVEL * (filtered(press, self.near[PRESS]) + 0.01 * far_pump + 0.12 * at_press),
            HALL: HALL_LEVEL * (0.5 * far_pump + 0.5 * far_press + 0.6 * in_hall),
        }

    def clips(self, load: float, n_clips: int, rng: np.random.Generator) -> dict[str, list[Float32Array]]:
        """Recordings of normal sound at one operating point, cut from one take: stream -> clips."""
        n_samples = int(CLIP_S * SAMPLE_RATE_HZ)
        heard = self.heard(np.full(n_clips * n_samples, load, np.float32), {}, rng)
        return {stream: np.split(heard[stream], n_clips) for stream in MACHINES}

    def keyword_clips(self, rng: np.random.Generator) -> Iterator[Float32Array]:
        """The word as an engineer would record it in the quiet: three voices, a little room around them."""
        for name in ENROLMENT_CLIPS:
            speech = np.pad(spoken_clip(name), int(0.3 * SAMPLE_RATE_HZ))
            hum = shaped_noise(len(speech), [(80, 0), (1000, -12), (8000, -30)], rng)
            yield np.asarray(SPEECH_LEVEL * (speech + 0.01 * hum), np.float32)


@dataclass(frozen=True)
class Scene:
    """A plant, what happens in it, and the seed both came from."""

    seed: int
    plant: Plant
    timeline: Timeline

    def render(self) -> dict[str, Float32Array]:
        """The three microphones' signals: stream -> float32 (n,), full scale +-1."""
        rng = np.random.default_rng([self.seed, 2])
        n_samples = int(self.timeline.duration_s * SAMPLE_RATE_HZ)
        load = np.clip((seconds(n_samples) - self.timeline.shift_s) / LOAD_RAMP_S, 0, 1).astype(np.float32)
        faults = {
            stream: envelope(
                n_samples, [(f.start_s, f.end_s) for f in self.timeline.faults if f.stream == stream], FAULT_RAMP_S
            )
            for stream in (PUMP, PRESS)
        }
        heard = self.plant.heard(load, faults, rng)
        heard[HALL] += SPEECH_LEVEL * filtered(_speech(n_samples, self.timeline.words), self.plant.near[PUMP])
        return heard


def drawn_scene(seed: int) -> Scene:
    """The scene of a seed: the same seed gives the same samples."""
    return Scene(
        seed=seed,
        plant=Plant.drawn(np.random.default_rng([seed, 0])),
        timeline=drawn_timeline(np.random.default_rng([seed, 1])),
    )


def _speech(n_samples: int, words: tuple[SpokenWord, ...]) -> Float32Array:
    speech = np.zeros(n_samples, np.float32)
    for word in words:
        start = round(word.start_s * SAMPLE_RATE_HZ)
        clip = spoken_clip(word.clip)
        speech[start : start + len(clip)] += clip
    return speech


def _air(load: Float32Array, rng: np.random.Generator) -> tuple[Float32Array, ...]:
    """The air of the hall at three places; at full load the ventilation runs."""
    still = shaped_noise(len(load), [(60, 0), (300, -6), (1500, -16), (8000, -34)], rng)
    ventilation = shaped_noise(len(load), [(60, -6), (250, 0), (1800, -4), (3500, -16), (8000, -30)], rng)
    busy, airy = (1 + 0.2 * wander(len(load), 1.0, rng) for _ in range(2))
    apart = int(CLIP_S * SAMPLE_RATE_HZ)
    return tuple(
        busy * np.roll(still, k * apart) + 1.5 * airy * load * np.roll(ventilation, k * apart) for k in range(3)
    )
