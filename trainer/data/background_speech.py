"""Speech and noise that holds no word anybody enrols, for the budget of false alarms of the general keyword bundle.

Words are what is enrolled, so no recorded word is left whole: halves of different words are joined, whoever speaks
them. Synthetic sentences are of invented words. What comes near an enrolled word is none of it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edged.errors import AudioError
from edged.features.activity import sound_span
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.augment.channel import telephone
from trainer.augment.noise import active_power, mix_at_snr, random_noise
from trainer.augment.room import in_random_room
from trainer.data.keywords import WordClip
from trainer.data.speech_corpus import Material
from trainer.data.speech_scene import joined_words
from trainer.data.words import random_sentence

NOISE_S = 6.0
NOISE_SHARE, RECORDED_SHARE = 0.1, 0.5
TELEPHONE_SHARE, ROOM_SHARE, NOISY_SHARE = 0.3, 0.3, 0.35
SNR_DB = (5.0, 25.0)
MOST_SILENT = 100
LEVEL = 0.05


def background_scenes(rng: np.random.Generator, material: Material, duration_s: float) -> list[Float32Array]:
    """Scenes of at least ``duration_s`` in all: float32 (n_samples,) each.

    Args:
        material: at least a synthesiser or recorded words.

    Raises:
        AudioError: nothing is heard in the recordings.
    """
    scenes: list[Float32Array] = []
    n_silent = 0
    while sum(map(len, scenes)) < duration_s * SAMPLE_RATE_HZ:
        scene = _scene(rng, material)
        n_silent = 0 if len(scene) else n_silent + 1
        if n_silent > MOST_SILENT:
            raise AudioError("nothing is heard in the recorded words", fix="check the folder of recordings")
        scenes += [scene] if len(scene) else []
    return scenes


def _scene(rng: np.random.Generator, material: Material) -> Float32Array:
    if material.noises and rng.random() < NOISE_SHARE:
        return _levelled(random_noise(rng, material.noises, round(NOISE_S * SAMPLE_RATE_HZ)))
    engines = list(material.engines.values())
    if material.clips and (not engines or rng.random() < RECORDED_SHARE):
        speech = _halves_of_words(rng, material, 10)
    else:
        speech = engines[int(rng.integers(len(engines)))](rng, random_sentence(rng, 8, invented_share=1.0)).samples
    return _heard(rng, speech, material)


def _halves_of_words(rng: np.random.Generator, material: Material, n_halves: int) -> Float32Array:
    """First and second halves of recorded words in turn."""
    words = sorted(material.clips)
    halves = []
    for index in range(n_halves):
        clips = material.clips[str(rng.choice(words))]
        half = _half(clips[int(rng.integers(len(clips)))], second=bool(index % 2))
        halves += [half] if half else []
    return joined_words(rng, halves, material.classes).samples if halves else np.zeros(0, np.float32)


def _half(clip: WordClip, *, second: bool) -> WordClip | None:
    span = sound_span(clip.samples)
    if span is None:
        return None
    middle = (span[0] + span[1]) // 2
    part = slice(middle, span[1]) if second else slice(span[0], middle)
    return replace(clip, samples=clip.samples[part], phones=())


def _heard(rng: np.random.Generator, speech: Float32Array, material: Material) -> Float32Array:
    """In a room, in noise, over a telephone, or as it is."""
    if not len(speech):
        return speech
    if rng.random() < ROOM_SHARE:
        speech = in_random_room(rng, speech)
    if material.noises and rng.random() < NOISY_SHARE:
        speech = mix_at_snr(speech, random_noise(rng, material.noises, len(speech)), float(rng.uniform(*SNR_DB)))
    if rng.random() < TELEPHONE_SHARE:
        speech = telephone(speech, rng)
    return _levelled(speech)


def _levelled(samples: Float32Array) -> Float32Array:
    return np.asarray(samples * (LEVEL / max(active_power(samples), 1e-10) ** 0.5), dtype=np.float32)
