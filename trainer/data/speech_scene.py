"""Running speech with labels: synthetic sentences, and recorded words joined as if spoken in one breath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edged.features.activity import sound_span
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.augment.channel import change_speed, random_equaliser, telephone
from trainer.augment.noise import active_power, coloured_noise, mix_at_snr, random_noise
from trainer.augment.room import in_random_room
from trainer.data.keywords import WordClip
from trainer.data.phones import UNKNOWN
from trainer.data.speech_synth import Utterance

Span = tuple[int, float, float]
"""(label, start_s, end_s)."""

NO_POSITION = 255


@dataclass(frozen=True)
class NoiseRange:
    """How noisy scenes are: `share` of them at a random signal-to-noise ratio, the others nearly clean."""

    snr_db: tuple[float, float] = (0.0, 30.0)
    share: float = 0.75


@dataclass(frozen=True)
class Scene:
    """A few seconds of sound and what is said in it.

    Attributes:
        samples: float32 (n,), 16 kHz.
        phones: phone index spans in order; what no span covers has no phone label.
        words: spans of word classes (recorded words only).
    """

    samples: Float32Array
    phones: list[Span] = field(default_factory=list)
    words: list[Span] = field(default_factory=list)


@dataclass(frozen=True)
class FrameLabels:
    """Labels per frame, int16 (n_frames,) each.

    `phone` (0 silence, -1 unknown), `neighbour` and `second_half`: the frame lies in the second half of its phone and
    `neighbour` is the next one, or in the first half and it is the previous one; `word` (-1 none or unknown) and
    `position` 0..254 through the word.
    """

    phone: NDArray[np.int16]
    neighbour: NDArray[np.int16]
    second_half: NDArray[np.int16]
    word: NDArray[np.int16]
    position: NDArray[np.int16]


def synthetic_scene(utterance: Utterance) -> Scene:
    """A synthesised utterance as it is."""
    return Scene(utterance.samples, list(utterance.phones))


def joined_words(rng: np.random.Generator, clips: Sequence[WordClip], classes: Mapping[str, int]) -> Scene:
    """Recorded words at similar levels, most of them without a pause in between; empty if nothing is heard in any."""
    pieces: list[Float32Array] = []
    phones: list[Span] = []
    words: list[Span] = []
    at_s = 0.0
    for clip in clips:
        said = _one_word(rng, clip)
        if said is None:
            continue
        gap = 0 if rng.random() < 0.6 else int(rng.uniform(0.05, 0.5) * SAMPLE_RATE_HZ)
        start_s = at_s + gap / SAMPLE_RATE_HZ
        if gap:
            phones.append((0, at_s + 0.03, start_s - 0.03))
        end_s = start_s + len(said.samples) / SAMPLE_RATE_HZ
        phones += [(phone, start_s + first, start_s + last) for phone, first, last in said.phones]
        words.append((classes[clip.word], start_s, end_s))
        pieces += [np.zeros(gap, dtype=np.float32), said.samples]
        at_s = end_s
    return Scene(np.concatenate(pieces) if pieces else np.zeros(0, np.float32), phones, words)


def _one_word(rng: np.random.Generator, clip: WordClip) -> Scene | None:
    """The word of a clip without the silence around it, at a random speed and level; None if nothing is heard."""
    span = sound_span(clip.samples)
    if span is None:
        return None
    margin = int(rng.uniform(0.0, 0.03) * SAMPLE_RATE_HZ)
    first, last = max(0, span[0] - margin), span[1] + margin
    factor = float(rng.uniform(0.88, 1.14))
    samples = change_speed(clip.samples[first:last], factor)
    samples *= np.float32(0.1 * 10.0 ** (rng.uniform(-4.0, 4.0) / 20.0) / max(active_power(samples), 1e-10) ** 0.5)
    ramp = min(80, len(samples) // 2)
    samples[:ramp] *= np.linspace(0.0, 1.0, ramp, dtype=np.float32)
    samples[-ramp:] *= np.linspace(1.0, 0.0, ramp, dtype=np.float32)
    cut_s, length_s = first / SAMPLE_RATE_HZ, len(samples) / SAMPLE_RATE_HZ
    times = [(phone, (start - cut_s) / factor, (end - cut_s) / factor) for phone, start, end in clip.phones]
    phones = [
        (phone, max(0.0, start), min(end, length_s)) for phone, start, end in times if start < length_s and end > 0
    ]
    return Scene(samples, phones)


def noise_scene(rng: np.random.Generator, recordings: Sequence[Float32Array], duration_s: float) -> Scene:
    """No speech at all."""
    noise = random_noise(rng, recordings, int(duration_s * SAMPLE_RATE_HZ))
    return Scene(noise, [(0, 0.0, duration_s)])


def sped_up(scene: Scene, factor: float) -> Scene:
    """The scene spoken by a smaller, faster speaker (``factor`` > 1)."""
    return Scene(
        change_speed(scene.samples, factor),
        [(label, start / factor, end / factor) for label, start, end in scene.phones],
        [(label, start / factor, end / factor) for label, start, end in scene.words],
    )


def degraded(rng: np.random.Generator, scene: Scene, recordings: Sequence[Float32Array], noise: NoiseRange) -> Scene:
    """The scene through a random room, in random noise, over a random channel, at a random level."""
    return degraded_and_clean(rng, scene, recordings, noise)[0]


def degraded_and_clean(
    rng: np.random.Generator, scene: Scene, recordings: Sequence[Float32Array], noise: NoiseRange
) -> tuple[Scene, Scene]:
    """The degraded scene, and beside it the scene as it was, silent where nothing is left of it in the other."""
    samples = scene.samples
    if rng.random() < 0.5:
        samples = in_random_room(rng, samples)
    if rng.random() < 0.7:
        samples = random_equaliser(rng, samples)
    noise_db = float(rng.uniform(*noise.snr_db))
    if rng.random() < noise.share:
        samples = mix_at_snr(samples, random_noise(rng, recordings, len(samples)), noise_db)
    else:
        samples = mix_at_snr(samples, coloured_noise(rng, len(samples), 1.0), float(rng.uniform(35.0, 60.0)))
    if rng.random() < 0.35:
        samples = telephone(samples, rng)
    kept = _hard_cut(rng, len(samples)) if rng.random() < 0.25 else slice(None)
    samples = _only(samples, kept)
    peak = max(float(np.abs(samples).max()), 1e-9)
    samples = samples * np.float32(10.0 ** (rng.uniform(-30.0, 0.0) / 20.0) / peak)
    return replace(scene, samples=samples.astype(np.float32)), replace(scene, samples=_only(scene.samples, kept))


def _hard_cut(rng: np.random.Generator, n_samples: int) -> slice:
    """Digital silence before some point and after another, as around a clip cut from a sentence."""
    first, last = sorted(rng.integers(0, n_samples, 2).tolist())
    return slice(first, last) if last - first > SAMPLE_RATE_HZ // 2 else slice(None)


def _only(samples: Float32Array, kept: slice) -> Float32Array:
    """Silence outside of `kept`."""
    cut = np.zeros_like(samples)
    cut[kept] = samples[kept]
    return cut


def frame_labels(scene: Scene, n_frames: int, hop_samples: int) -> FrameLabels:
    """Labels at the centres of the frames of the keyword front end."""
    centres_s = (np.arange(n_frames) + 0.5) * hop_samples / SAMPLE_RATE_HZ
    labels = FrameLabels(*(np.full(n_frames, fill, dtype=np.int16) for fill in (UNKNOWN, UNKNOWN, 0, -1, NO_POSITION)))
    for index, (phone, start_s, end_s) in enumerate(scene.phones):
        middle_s = (start_s + end_s) / 2.0
        first = slice(*np.searchsorted(centres_s, [start_s, middle_s]))
        second = slice(*np.searchsorted(centres_s, [middle_s, end_s]))
        labels.phone[first] = labels.phone[second] = phone
        labels.neighbour[first] = _neighbour(scene.phones, index, -1)
        labels.neighbour[second] = _neighbour(scene.phones, index, +1)
        labels.second_half[second] = 1
    for word, start_s, end_s in scene.words:
        inside = slice(*np.searchsorted(centres_s, [start_s, end_s]))
        labels.word[inside] = word
        labels.position[inside] = ((centres_s[inside] - start_s) / (end_s - start_s) * 254).astype(np.int16)
    return labels


def _neighbour(phones: Sequence[Span], index: int, step: int) -> int:
    """The adjoining phone; silence at the ends, unknown across a hole."""
    other = index + step
    if not 0 <= other < len(phones):
        return 0
    hole_s = phones[index][1] - phones[other][2] if step < 0 else phones[other][1] - phones[index][2]
    return phones[other][0] if abs(hole_s) < 1e-3 else UNKNOWN
