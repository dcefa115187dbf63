"""Trainings that take a second: noise in five classes, a small network with dropout and batch normalisation, mixup.

Run as a script, `runs.py DIRECTORY [--resume]` trains until it is done or killed.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from trainer.augment.mixup import mixup
from trainer.checkpoints import latest_checkpoint
from trainer.data.corpus import Corpus
from trainer.losses.subcluster_adacos import SubclusterAdaCos
from trainer.training import EmbeddingTraining, TrainingSettings, fit, training_loader

N_CLASSES, N_SAMPLES, DIM = 5, 32, 8
BATCH, N_SEGMENTS, EPOCHS = 8, 43, 3
STEPS_PER_EPOCH = N_SEGMENTS // BATCH


def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    classes = rng.integers(N_CLASSES, size=N_SEGMENTS)
    shapes = rng.normal(size=(N_CLASSES, N_SAMPLES))[classes]
    signals = 4000 * (shapes + 0.3 * rng.normal(size=(N_SEGMENTS, N_SAMPLES)))
    return Corpus(signals.astype(np.int16), classes.astype(np.int64), tuple("abcde"))


class Objective(nn.Module):
    """Mixup, if any, in front of the loss with the adaptive scale."""

    def __init__(self, *, random: bool = True) -> None:
        super().__init__()
        self.loss, self.random = SubclusterAdaCos(N_CLASSES, 2, DIM, trainable=True), random
        self.scales: list[float] = []

    def forward(self, network: nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        signals, labels = batch["signals"], torch.eye(N_CLASSES, device=batch["signals"].device)[batch["classes"]]
        if self.random:
            signals, labels = mixup(signals, labels, 0.7)
        loss = self.loss(network(signals), labels)
        self.scales.append(float(self.loss.scale))
        return {"loss": loss, "scale": self.loss.scale.clone()}


def network(*, random: bool = True, batch_norm: bool = True) -> nn.Sequential:
    extra = [nn.Dropout(0.2)] if random else []
    norm = [nn.BatchNorm1d(16)] if batch_norm else []
    return nn.Sequential(nn.Linear(N_SAMPLES, 16), *norm, nn.ReLU(), *extra, nn.Linear(16, DIM, bias=False))


def settings(directory: Path, **changes: object) -> TrainingSettings:
    common = TrainingSettings(
        directory, max_epochs=EPOCHS, learning_rate=0.01, seed=3, accelerator="cpu", progress=False
    )
    return replace(common, **changes)


def train(run: TrainingSettings, *, resume: bool = False, random: bool = True, **options: object) -> EmbeddingTraining:
    """One run from its beginning, or from its last checkpoint on."""
    torch.manual_seed(11)
    model, objective = (
        network(random=random, batch_norm=bool(options.pop("batch_norm", True))),
        Objective(random=random),
    )
    loader = training_loader(corpus(), BATCH, run.seed, accelerator=run.accelerator)
    checkpoint = latest_checkpoint(run.run_directory) if resume else None
    return fit(model, objective, loader, run, resume_from=checkpoint, **options)


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    train(settings(directory, checkpoint_every_steps=1, max_epochs=40), resume="--resume" in sys.argv)
