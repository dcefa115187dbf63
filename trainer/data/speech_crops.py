"""Random crops from the shards of the speech corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from trainer.data.phones import PHONES

LABELS = ("phone", "neighbour", "second_half", "word", "position")
Shard = dict[str, NDArray[np.generic]]


def load_shards(paths: Sequence[Path]) -> list[Shard]:
    """The arrays of the shards, in memory."""
    shards = []
    for path in paths:
        with np.load(path) as arrays:
            shards.append({name: arrays[name] for name in ("frames", *LABELS)})
    return shards


def diphone_classes(shards: Sequence[Shard], n_classes: int) -> Tensor:
    """The most frequent pairs of phones: int64 (n_phones, n_phones), class number or -1."""
    n_phones = len(PHONES)
    counts = np.zeros((n_phones, n_phones), dtype=np.int64)
    for shard in shards:
        phone, neighbour, second = (np.asarray(shard[name], dtype=np.int64) for name in LABELS[:3])
        known = (phone >= 0) & (neighbour >= 0) & (second == 1)
        np.add.at(counts, (phone[known], neighbour[known]), 1)
    order = np.argsort(-counts, axis=None)[:n_classes]
    order = order[counts.ravel()[order] > 0]
    classes = np.full(n_phones * n_phones, -1, dtype=np.int64)
    classes[order] = np.arange(len(order))
    return torch.from_numpy(classes.reshape(n_phones, n_phones))


class SpeechCrops(IterableDataset[dict[str, Tensor]]):
    """Batches of crops; an epoch is ``n_batches`` of them.

    Crops run across the joints of scenes: sudden changes of room and speaker are part of the lesson.
    """

    def __init__(self, shards: Sequence[Shard], crop_frames: int, batch: int, n_batches: int, seed: int) -> None:
        self._shards = shards
        self._crop_frames, self._batch, self._n_batches = crop_frames, batch, n_batches
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return self._n_batches

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for _ in range(self._n_batches):
            yield self._one_batch()

    def _one_batch(self) -> dict[str, Tensor]:
        rows: list[dict[str, NDArray[np.generic]]] = []
        for _ in range(self._batch):
            shard = self._shards[int(self._rng.integers(len(self._shards)))]
            start = int(self._rng.integers(0, len(shard["frames"]) - self._crop_frames))
            rows.append({name: values[start : start + self._crop_frames] for name, values in shard.items()})
        batch = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
        return {name: value.float() if name == "frames" else value.long() for name, value in batch.items()}
