"""What the microphones of a hall hear: machines that are faulty now and then, and on channel 0 words too.

A card has two plants of the demo, each a pump and a press, on up to four channels (the rest hears the same again). The
sound is a loop; in every round each channel has one fault, at another time than the other channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from edged.demo.scene import Plant
from edged.demo.speech import spoken_clip
from edged.demo.synthesis import envelope
from edged.demo.timeline import MACHINES
from edged.flow import SAMPLE_RATE_HZ, Float32Array

LOOP_S = 160.0
FAULT_S, FAULT_RAMP_S = 45.0, 2.0
WORD, WORD_EVERY_S, SPEECH_LEVEL = "maintenance", 10.0, 0.1
SAID = tuple(f"{WORD}-{n}" for n in (1, 2, 3, 4))
BESIDE = ("forklift-1", "warehouse-1", "attention-1", "conveyor-1")
N_CLIPS = 16


@dataclass(frozen=True)
class Span:
    """From when to when something is heard."""

    start_s: float
    end_s: float

    def at(self, first_s: float) -> Span:
        """In a loop that begins at ``first_s``: when it is heard in the first whole round."""
        start_s = (self.start_s - first_s) % LOOP_S
        return Span(start_s, start_s + self.end_s - self.start_s)


@dataclass(frozen=True)
class CardSound:
    """A device's sound.

    Attributes:
        loop: int16 (n_frames, n_channels).
        faults: of each channel.
        words: the enrolled one, on channel 0.
        clips: normal sound of each channel, to enrol.
    """

    loop: np.ndarray
    faults: list[Span]
    words: list[Span]
    clips: list[list[Float32Array]]


@cache
def card_sound(seed: int, n_channels: int) -> CardSound:
    """The same seed gives the same samples."""
    n_samples = int(LOOP_S * SAMPLE_RATE_HZ)
    channels, faults, clips = [], [], []
    for place in range(min(n_channels, 4)):
        pair, machine = divmod(place, 2)
        plant = Plant.drawn(np.random.default_rng([seed, pair]))
        start_s = 15.0 + 25.0 * place
        faults.append(Span(start_s, start_s + FAULT_S))
        fault = envelope(n_samples, [(start_s, start_s + FAULT_S)], FAULT_RAMP_S)
        name, rng = MACHINES[machine], np.random.default_rng([seed, pair, machine])
        channels.append(plant.heard(np.zeros(n_samples, np.float32), {name: fault}, rng)[name])
        clips.append(plant.clips(0.0, N_CLIPS, rng)[name])
    words = _speak(channels[0], [clip for pair in zip(SAID, BESIDE, strict=True) for clip in pair])
    for clip in clips[0]:
        _speak(clip, BESIDE[:1], first_s=3.0)
    repeats = [place % len(channels) for place in range(n_channels)]
    loop = np.stack([channels[place] for place in repeats], axis=1)
    quantised = np.clip(np.rint(loop * 32768.0), -32768, 32767).astype(np.int16)
    return CardSound(quantised, [faults[p] for p in repeats], words, [clips[p] for p in repeats])


def _speak(sound: Float32Array, names: list[str] | tuple[str, ...], first_s: float = 2.0) -> list[Span]:
    """Words into a sound, in place, one after the other to its end; where the enrolled one is."""
    words, number = [], 0
    while first_s + number * WORD_EVERY_S + 3.0 < len(sound) / SAMPLE_RATE_HZ:
        name, start_s = names[number % len(names)], first_s + number * WORD_EVERY_S
        spoken, at = spoken_clip(name), round(start_s * SAMPLE_RATE_HZ)
        sound[at : at + len(spoken)] += np.float32(SPEECH_LEVEL) * spoken
        if name in SAID:
            words.append(Span(start_s, start_s + len(spoken) / SAMPLE_RATE_HZ))
        number += 1
    return words


def rounds(span: Span, first_s: float, duration_s: float) -> list[Span]:
    """Every time it is heard in so long, whole or in part, in a loop that begins at ``first_s``."""
    first = span.at(first_s)
    starts_s = np.arange(first.start_s - LOOP_S, duration_s, LOOP_S)
    found = [Span(float(s), float(s) + span.end_s - span.start_s) for s in starts_s]
    return [one for one in found if one.end_s > 0]
