"""Scenes in two states for a network that learns from another: as they are heard, and as they were before that.

A shard holds the front end's frames of the degraded scenes, and what the teacher makes of the clean ones: two passes
over the same instants, so that frame k of one is row k of the other. Nothing is labelled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from edged.errors import ConfigError
from edged.features.keyword import KeywordFrames, KeywordSpec
from edged.flow import Float32Array
from trainer.data.sampler import EpochIndex
from trainer.data.speech_corpus import Material, clean_scene
from trainer.data.speech_crops import Shard
from trainer.data.speech_scene import Scene, degraded_and_clean
from trainer.files import write_arrays

FRAMES, ROWS = "frames", "rows"
Teacher = Callable[[Float32Array], Float32Array]
"""Frames (n, n_mels) -> rows (n, dim) of unit length, context beyond both ends being silence."""


def write_pair_shard(
    path: Path,
    rng: np.random.Generator,
    material: Material,
    spec: KeywordSpec,
    n_scenes: int,
    *,
    teacher: Teacher,
    teacher_spec: KeywordSpec,
) -> None:
    """Generate scenes into one ``.npz``: `frames` float16 (n, n_mels) and `rows` float16 (n, dim).

    Args:
        spec: front end of the network that learns.
        teacher_spec: of the one it learns from; it may look further ahead.

    Raises:
        StorageError: the disk is full or refuses.
    """
    heard, clean = [], []
    for _ in range(n_scenes):
        scene = clean_scene(rng, material)
        degraded, before = degraded_and_clean(rng, scene, material.noises, material.noise)
        heard.append(frames_of(degraded.samples, spec))
        clean.append(frames_of(before.samples if _is_speech(scene) else np.zeros_like(before.samples), teacher_spec))
    rows = teacher(np.concatenate(clean))
    write_arrays(path, {"frames": np.concatenate(heard).astype(np.float16), "rows": rows.astype(np.float16)})


def _is_speech(scene: Scene) -> bool:
    """Whether there is more in it than noise, which the network is to take for silence."""
    return bool(scene.words) or any(phone for phone, _, _ in scene.phones)


def frames_of(samples: Float32Array, spec: KeywordSpec) -> Float32Array:
    """All frames of a signal, float32 (n, n_mels)."""
    extractor = KeywordFrames(spec)
    return np.concatenate([extractor.push(samples), extractor.flush()])


def load_pair_shards(paths: Sequence[Path]) -> list[Shard]:
    """The arrays of the shards, in memory."""
    shards = []
    for path in paths:
        with np.load(path) as arrays:
            shards.append({name: arrays[name] for name in (FRAMES, ROWS)})
    return shards


class PairCrops(Dataset[dict[str, Tensor]]):
    """Random crops from the shards, other ones in every epoch.

    Args:
        crop_frames: length of a crop.
        n_crops: in an epoch.
        context: frames (left, right) that the network's output lacks.
        key: numbers that the crops follow from.

    Raises:
        ConfigError: a shard is shorter than a crop.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        crop_frames: int,
        n_crops: int,
        *,
        context: tuple[int, int],
        key: Sequence[int],
    ) -> None:
        shortest = min(len(shard[FRAMES]) for shard in shards)
        if shortest < crop_frames:
            fix = "lower crop_frames, or raise scenes_per_shard"
            raise ConfigError(f"a shard of {shortest} frames holds no crop of {crop_frames}", fix=fix)
        self._shards, self._crop_frames, self._n_crops = shards, crop_frames, n_crops
        self._context, self._key = context, tuple(key)

    def __len__(self) -> int:
        return self._n_crops

    def __getitem__(self, at: EpochIndex) -> dict[str, Tensor]:
        """`frames` float32 (crop_frames, n_mels) and `rows` float32 (crop_frames - context, dim)."""
        rng = np.random.default_rng((*self._key, *at))
        shard = self._shards[int(rng.integers(len(self._shards)))]
        start = int(rng.integers(len(shard[FRAMES]) - self._crop_frames + 1))
        left, right = self._context
        end = start + self._crop_frames
        spans = {FRAMES: slice(start, end), ROWS: slice(start + left, end - right)}
        return {name: torch.from_numpy(shard[name][span]).float() for name, span in spans.items()}
