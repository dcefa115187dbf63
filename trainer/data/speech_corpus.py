"""The training corpus of the general keyword bundle, generated once as shards of features and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from edged.errors import AudioError
from edged.features.keyword import KeywordFrames, KeywordSpec
from edged.flow import Float32Array
from trainer.data.keywords import WordClip, read_audio, read_indexed_clips, read_speech_commands
from trainer.data.machine_synth import draw_plant, render_clip
from trainer.data.speech_scene import (
    NoiseRange,
    Scene,
    degraded,
    frame_labels,
    joined_words,
    noise_scene,
    sped_up,
    synthetic_scene,
)
from trainer.data.speech_synth import Utterance, available_engines
from trainer.data.words import random_sentence
from trainer.files import write_arrays

HELD_OUT_WORDS = frozenset({"en-house", "en-eight"})
"""Recorded words that the benchmarks enrol: never trained on."""
HELD_OUT_NOISES = frozenset({"rooster__1-40730-A", "rooster__2-96460-A"})
"""Recordings whose licence does not allow shipping what was made from them."""
DRAWS = 10
"""So often words are drawn anew where nothing is heard in any."""


@dataclass(frozen=True)
class Material:
    """What scenes are made of; `clips` grouped by word class, `recorded_share` of the scenes are made of them."""

    noises: Sequence[Float32Array]
    clips: Mapping[str, Sequence[WordClip]]
    engines: Mapping[str, Callable[[np.random.Generator, str], Utterance]]
    recorded_share: float = 0.26
    noise: NoiseRange = field(default_factory=NoiseRange)

    @property
    def classes(self) -> dict[str, int]:
        """Word -> class number."""
        return {word: index for index, word in enumerate(sorted(self.clips))}


def read_material(data: Path | None) -> Material:
    """The permissively licensed recordings of the data pack that are there, and the installed synthesisers."""
    if data is None:
        return Material([], {}, available_engines())
    noises = []
    for path in sorted((data / "noise").glob("*/*.ogg")):
        if path.stem not in HELD_OUT_NOISES:
            samples = read_audio(path)
            if float(np.abs(samples).max()) > 1e-4:
                noises.append(samples)
    clips: dict[str, list[WordClip]] = {}
    for clip in _recorded_words(data):
        if clip.word not in HELD_OUT_WORDS:
            clips.setdefault(clip.word, []).append(clip)
    return Material(noises, clips, available_engines())


def _recorded_words(data: Path) -> Iterator[WordClip]:
    if (data / "speech" / "gsc").is_dir():
        yield from read_speech_commands(data / "speech" / "gsc")
    if (data / "speech" / "arabic").is_dir():
        yield from read_indexed_clips(data / "speech" / "arabic", "ar")


def random_scene(rng: np.random.Generator, material: Material) -> Scene:
    """One scene of any kind, clean or degraded."""
    return degraded(rng, clean_scene(rng, material), material.noises, material.noise)


def clean_scene(rng: np.random.Generator, material: Material) -> Scene:
    """One scene of any kind."""
    kind = rng.random()
    if kind < 0.04:
        return noise_scene(rng, material.noises, 4.0)
    if kind < 0.04 + material.recorded_share and material.clips:
        return _random_words(rng, material, int(rng.integers(5, 10)))
    engine = "flite" if "flite" in material.engines and rng.random() < 0.4 else next(iter(material.engines))
    text = random_sentence(rng, int(rng.integers(4, 9)))
    return sped_up(synthetic_scene(material.engines[engine](rng, text)), float(rng.uniform(0.87, 1.18)))


def machine_noises(rng: np.random.Generator, n_clips: int) -> list[Float32Array]:
    """Ten seconds each of a healthy synthetic machine: where edged listens, machines run."""
    plant = draw_plant(n_clips, int(rng.integers(2**31)))
    return [render_clip(machine, (int(rng.integers(2**31)), index)) for index, machine in enumerate(plant)]


def babble_noises(rng: np.random.Generator, material: Material, n_clips: int) -> list[Float32Array]:
    """Five voices at once, about eight seconds each; empty without a synthesiser."""
    engines = list(material.engines.values())
    clips = []
    for _ in range(n_clips if engines else 0):
        voices = [engines[int(rng.integers(len(engines)))](rng, random_sentence(rng, 14)).samples for _ in range(5)]
        length = max(map(len, voices))
        levelled = [np.resize(v, length) / max(float(np.std(v)), 1e-6) for v in voices]
        clips.append((0.02 * np.sum(levelled, axis=0)).astype(np.float32))
    return clips


def write_shard(path: Path, rng: np.random.Generator, material: Material, spec: KeywordSpec, n_scenes: int) -> int:
    """Generate scenes into one ``.npz``: frames float16 (n, n_mels), each label int16 (n,), `starts` of the scenes.

    Returns:
        the number of frames.

    Raises:
        StorageError: the disk is full or refuses.
        AudioError: recorded words that are silent.
    """
    frames, labels, starts = [], [], [0]
    for _ in range(n_scenes):
        scene = random_scene(rng, material)
        extractor = KeywordFrames(spec)
        scene_frames = np.concatenate([extractor.push(scene.samples), extractor.flush()])
        frames.append(scene_frames.astype(np.float16))
        labels.append(asdict(frame_labels(scene, len(scene_frames), spec.hop_samples)))
        starts.append(starts[-1] + len(scene_frames))
    joined = {name: np.concatenate([label[name] for label in labels]) for name in labels[0]}
    write_arrays(path, {"frames": np.concatenate(frames), "starts": np.array(starts), **joined})
    return starts[-1]


def _random_words(rng: np.random.Generator, material: Material, n_words: int) -> Scene:
    words = sorted(material.clips)
    for _ in range(DRAWS):
        chosen = [material.clips[str(rng.choice(words))] for _ in range(n_words)]
        scene = joined_words(rng, [clips[int(rng.integers(len(clips)))] for clips in chosen], material.classes)
        if len(scene.samples):
            return scene
    raise AudioError(f"nothing is heard in {DRAWS * n_words} of the recorded words", fix="replace the silent clips")
