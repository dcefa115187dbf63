"""Batches in an order that follows from the seed and the epoch alone, from any batch of any epoch on.

A run that was killed goes on with the batch that was next. Several processes that train together take turns in the same
order: their batches, put together, are those of one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch import distributed as dist
from torch.utils.data import DataLoader, Dataset, Sampler

from edged.errors import ConfigError
from edged.flow import Float64Array

MAX_WORKERS = 8
PREFETCHED_BATCHES = 4
"""Per worker."""


EpochIndex = tuple[int, int]
"""(epoch, index): what a dataset is asked for, so that random changes of a sample follow from both, in any process."""


def epoch_order(n_samples: int, seed: int, epoch: int, weights: Float64Array | None = None) -> NDArray[np.int64]:
    """The order of an epoch: every sample once, or drawn in proportion to its weight.

    Args:
        weights: (n_samples,), positive.

    >>> sorted(epoch_order(4, seed=1, epoch=2).tolist())
    [0, 1, 2, 3]
    """
    rng = np.random.default_rng((seed, epoch))
    if weights is None:
        return rng.permutation(n_samples)
    return rng.choice(n_samples, n_samples, p=weights / weights.sum())


class EpochBatches(Sampler[list[EpochIndex]]):
    """The rest of an epoch, batch by batch; each process that trains along gets its part of every batch.

    Args:
        n_samples: of the dataset.
        batch_size: of all processes together.
        seed: of the order.
        weights: see `epoch_order`.
    """

    def __init__(self, n_samples: int, batch_size: int, seed: int, weights: Float64Array | None = None) -> None:
        self.n_samples, self.batch_size, self.seed, self.weights = n_samples, batch_size, seed, weights
        self.epoch, self.first_batch = 0, 0

    def __len__(self) -> int:
        return self.n_samples // self.batch_size

    def __iter__(self) -> Iterator[list[EpochIndex]]:
        rank, n_processes = process_rank()
        epoch, order = self.epoch, epoch_order(self.n_samples, self.seed, self.epoch, self.weights)
        share = self.batch_size // n_processes
        for batch in range(self.first_batch, len(self)):
            start = batch * self.batch_size + rank * share
            yield [(epoch, int(index)) for index in order[start : start + share]]


@dataclass(frozen=True)
class Workers:
    """Processes that read ahead.

    Attributes:
        n: how many; 0 reads in the training process.
        pinned: whether batches lie where the GPU fetches them without a copy.
    """

    n: int = 0
    pinned: bool = False


def workers_for(*, on_gpu: bool) -> Workers:
    """None on the CPU, which has its hands full; on a GPU one per core, at most eight."""
    return Workers(min(MAX_WORKERS, os.cpu_count() or 1), pinned=True) if on_gpu else Workers()


class ResumableLoader:
    """A shuffling loader that knows its place.

    Iterating goes on where it stopped, then with the next epoch; the last, incomplete batch of an epoch is left out.

    Args:
        dataset: asked for `EpochIndex`.
        batch_size: of all processes together.
        seed: of the order.
        workers: see `workers_for`.
        weights: see `epoch_order`.

    Raises:
        ConfigError: fewer samples than a batch holds.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch_size: int,
        seed: int,
        *,
        workers: Workers | None = None,
        weights: Float64Array | None = None,
    ) -> None:
        n_samples = len(dataset) if isinstance(dataset, Sized) else 0
        if n_samples < batch_size:
            fix = f"lower batch_size to {n_samples} or less, or give more recordings"
            raise ConfigError(f"batch_size {batch_size} is more than the {n_samples} segments there are", fix=fix)
        workers = workers or Workers()
        self.batches = EpochBatches(n_samples, batch_size, seed, weights)
        self.dataset = dataset
        self._loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=self.batches,
            num_workers=workers.n,
            pin_memory=workers.pinned,
            persistent_workers=workers.n > 0,
            prefetch_factor=PREFETCHED_BATCHES if workers.n else None,
        )

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Mapping[str, Tensor]]:
        require_whole_shares(self.batches.batch_size)
        if self.batches.first_batch >= len(self):
            self.batches.epoch, self.batches.first_batch = self.batches.epoch + 1, 0
        for batch in self._loader:
            self.batches.first_batch += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The place: `epoch` and `batch` are those of the batch that comes next."""
        return {"epoch": self.batches.epoch, "batch": self.batches.first_batch}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a place."""
        self.batches.epoch, self.batches.first_batch = int(state["epoch"]), int(state["batch"])


def process_rank() -> tuple[int, int]:
    """Number of this process among those that train together, and how many they are."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def require_whole_shares(batch_size: int) -> None:
    """Refuse a batch that cannot be shared out.

    Raises:
        ConfigError: the processes would get parts of different size, and the mean over them would not be the batch's.
    """
    n_processes = process_rank()[1]
    if batch_size % n_processes:
        fix = f"take a multiple of {n_processes}, or other devices"
        raise ConfigError(f"batch_size {batch_size} cannot be shared by {n_processes} processes", fix=fix)
