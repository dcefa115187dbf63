"""Trains the shallow classifier on external embeddings (thesis 5.5.1) and embeds with it.

Time is averaged ``before`` training, ``during`` it (the loss sees the mean of the classifier's outputs), or ``after``
it (every vector of a clip is a training sample of its own): Table 22. Before and during do best there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler

from edged.errors import UsageError
from edged.flow import Float32Array
from trainer.augment.mixup import mixup
from trainer.interruption import part_of_many
from trainer.losses.subcluster_adacos import SubclusterAdaCos
from trainer.models.shallow_classifier import ShallowClassifier
from trainer.training import TrainingSettings, fit

TimeMean = Literal["before", "during", "after"]


@dataclass(frozen=True)
class ShallowRecipe:
    """How the classifier is trained; the defaults are the thesis's.

    Attributes:
        n_centres: fixed sub-clusters per class.
        batch_size: at most so many clips at once.
        mixup_probability: share of samples mixed with another.
        time_mean: when the vectors of a clip become one.
    """

    n_centres: int = 16
    max_epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 1e-3
    mixup_probability: float = 1.0
    time_mean: TimeMean = "before"


class ShallowObjective(nn.Module):
    """Vectors -> mixup -> classifier -> loss."""

    def __init__(self, loss: nn.Module, n_classes: int, mixup_probability: float) -> None:
        super().__init__()
        self.loss = loss
        self.n_classes = n_classes
        self.mixup_probability = mixup_probability

    def forward(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`vectors` (batch, [time,] dim) and `classes` int64 (batch,) -> named scalar losses."""
        vectors, labels = batch["vectors"], F.one_hot(batch["classes"], self.n_classes).float()
        mixed, labels = mixup(vectors.flatten(1), labels, self.mixup_probability)
        return {"loss": self.loss(network(mixed.view_as(vectors)), labels)}


class LabelledRows(Dataset[dict[str, Any]]):
    """Arrays with their classes.

    Args:
        name: key of the arrays in a batch.
        rows: float32 (n, ...).
        classes: int (n,).
    """

    def __init__(self, name: str, rows: Float32Array, classes: NDArray[np.int64]) -> None:
        self._name = name
        self._rows = torch.from_numpy(np.ascontiguousarray(rows, np.float32))
        self._classes = classes

    def __len__(self) -> int:
        return len(self._classes)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One row under its name, and `classes` int."""
        return {self._name: self._rows[index], "classes": int(self._classes[index])}


class EvenBatches(Sampler[list[int]]):
    """Shuffled batches of nearly equal size: everything is seen, and none is a single sample.

    With a handful of samples what is left over for the last batch may be one, of which batch normalisation knows no
    spread.
    """

    def __init__(self, n_samples: int, max_size: int) -> None:
        self._n_samples = n_samples
        self._n_batches = max(1, min(-(-n_samples // max_size), n_samples // 2))

    def __len__(self) -> int:
        return self._n_batches

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(self._n_samples)
        return (chunk.tolist() for chunk in order.tensor_split(self._n_batches))


def train_shallow_classifier(
    vectors: Float32Array,
    classes: NDArray[np.int64],
    recipe: ShallowRecipe,
    run_directory: Path,
    *,
    seed: int = 0,
    progress: bool = False,
) -> ShallowClassifier:
    """Fit a classifier to vectors.

    Args:
        vectors: float32 (n, time, dim), or (n, dim).
        classes: int (n,), from 0 to the number of classes.
        recipe: how.
        run_directory: the checkpoint and the losses go there.
        seed: of weights, centres, order and mixup.

    Raises:
        UsageError: fewer than two classes, or too few centres.
    """
    n_classes = int(classes.max()) + 1
    if len(np.unique(classes)) < 2 or n_classes * recipe.n_centres < 3:
        raise UsageError(f"{n_classes} classes to tell apart", fix="give three classes, or two and several centres")
    pl.seed_everything(seed, workers=True, verbose=False)
    samples, labels = _training_samples(vectors, classes, recipe.time_mean)
    network = ShallowClassifier(samples.shape[-1])
    loss = SubclusterAdaCos(n_classes, recipe.n_centres, network.dim)
    objective = ShallowObjective(loss, n_classes, recipe.mixup_probability)
    loader = DataLoader(
        LabelledRows("vectors", samples, labels), batch_sampler=EvenBatches(len(labels), recipe.batch_size)
    )
    settings = TrainingSettings(
        tells_epochs=False,
        run_directory=run_directory,
        max_epochs=recipe.max_epochs,
        learning_rate=recipe.learning_rate,
        constant_rate=True,
        seed=seed,
        accelerator="cpu",
        progress=progress,
    )
    with part_of_many():
        fit(network, objective, loader, settings)
    return network.eval()


@torch.no_grad()
def shallow_vectors(network: ShallowClassifier, vectors: Float32Array, time_mean: TimeMean = "before") -> Float32Array:
    """Embeddings of the trained classifier, one per clip: (n, [time,] dim) -> (n, 128)."""
    result: Float32Array = network.eval()(torch.from_numpy(_at_inference(vectors, time_mean))).numpy()
    return result


def _training_samples(
    vectors: Float32Array, classes: NDArray[np.int64], time_mean: TimeMean
) -> tuple[Float32Array, NDArray[np.int64]]:
    if vectors.ndim == 3 and time_mean == "after":
        return vectors.reshape(-1, vectors.shape[2]), np.repeat(classes, vectors.shape[1])
    return _at_inference(vectors, time_mean), classes


def _at_inference(vectors: Float32Array, time_mean: TimeMean) -> Float32Array:
    is_early = vectors.ndim == 3 and time_mean == "before"
    return np.ascontiguousarray(vectors.mean(axis=1) if is_early else vectors, np.float32)
