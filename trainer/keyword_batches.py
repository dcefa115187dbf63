"""The batches keyword embedders learn from; each follows from seed, epoch and place, so that a run goes on anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from edged.errors import ConfigError
from trainer.data.sampler import EpochIndex, ResumableLoader, workers_for
from trainer.data.speech_crops import LABELS, Shard
from trainer.processes import trains_on_gpu


class CropDataset(Dataset[dict[str, Tensor]]):
    """Random crops from the shards of the speech corpus, other ones in every epoch.

    Crops run across the joints of scenes: sudden changes of room and speaker are part of the lesson.

    Args:
        shards: see `trainer.data.speech_crops.load_shards`.
        crop_frames: length of a crop.
        n_crops: in an epoch.
        key: numbers that the crops follow from.

    Raises:
        ConfigError: a shard is shorter than a crop.
    """

    def __init__(self, shards: Sequence[Shard], crop_frames: int, n_crops: int, key: Sequence[int]) -> None:
        shortest = min(len(shard["frames"]) for shard in shards)
        if shortest < crop_frames:
            fix = "lower crop_frames, or raise scenes_per_shard"
            raise ConfigError(f"a shard of {shortest} frames holds no crop of {crop_frames}", fix=fix)
        self._shards, self._crop_frames, self._n_crops, self._key = shards, crop_frames, n_crops, tuple(key)

    def __len__(self) -> int:
        return self._n_crops

    def __getitem__(self, at: EpochIndex) -> dict[str, Tensor]:
        """`frames` float32 (crop_frames, n_mels) and each label int64 (crop_frames,)."""
        rng = np.random.default_rng((*self._key, *at))
        shard = self._shards[int(rng.integers(len(self._shards)))]
        start = int(rng.integers(len(shard["frames"]) - self._crop_frames + 1))
        crop = {name: torch.from_numpy(shard[name][start : start + self._crop_frames]) for name in ("frames", *LABELS)}
        return {name: value.float() if name == "frames" else value.long() for name, value in crop.items()}


class Samples(Protocol):
    """A data set that is the same in every epoch."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Mapping[str, Tensor]:
        """One sample."""


class EveryEpoch(Dataset[Mapping[str, Tensor]]):
    """Samples that do not change from epoch to epoch, for a loader that asks by epoch and index."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, at: EpochIndex) -> Mapping[str, Tensor]:
        """The sample, whatever the epoch."""
        return self._samples[at[1]]


def keyword_loader(dataset: Dataset[Any], batch_size: int, seed: int, accelerator: str) -> ResumableLoader:
    """Batches in an order that follows from the seed; all samples at once where they are fewer than a batch holds."""
    workers = workers_for(on_gpu=trains_on_gpu(accelerator))
    return ResumableLoader(dataset, min(batch_size, len(dataset)), seed, workers=workers)  # type: ignore[arg-type]
