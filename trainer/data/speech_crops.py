"""The shards of the speech corpus in memory, and the diphones that are frequent in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
