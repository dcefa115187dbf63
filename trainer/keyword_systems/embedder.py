"""Trains the embedder of one system on the shots alone (thesis sections 6.3.4, 6.3.5 and 6.3.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler

from edged.flow import Float32Array
from trainer.data.keyword_segments import SegmentCutter, SegmentDataset, labelled_segments, some_background
from trainer.interruption import part_of_many
from trainer.keyword_systems.recipe import SystemRecipe
from trainer.losses.adacos import AdaCos
from trainer.losses.segment_objective import SegmentObjective
from trainer.losses.tacos import TACos
from trainer.models.sliding_window import SlidingWindowNet
from trainer.models.temporal_resnet import TemporalResNet
from trainer.training import TrainingSettings, fit

DIM = 128
GRADIENT_CLIP_NORM = 5.0


@dataclass(frozen=True)
class Shots:
    """What a system learns from, as front-end frames.

    Attributes:
        words: word -> shots, float32 (n_frames, n_mels) each.
        background: recordings without speech.
        silence: value of a silent band.
    """

    words: Mapping[str, Sequence[Float32Array]]
    background: Sequence[Float32Array]
    silence: float


@dataclass(frozen=True)
class Embedder:
    """A trained network; `centres` float32 (n_words, dim) are those of the words, of a sliding window only."""

    network: nn.Module
    centres: Float32Array | None


def train_embedder(recipe: SystemRecipe, shots: Shots, seed: int, run_directory: Path, *, progress: bool) -> Embedder:
    """Train for the recipe's number of steps."""
    torch.manual_seed(seed)
    dataset, n_classes, n_positions = training_set(recipe, shots, seed)
    network, loss = network_and_loss(recipe, n_classes, n_positions)
    sampler = RandomSampler(dataset, replacement=True, num_samples=recipe.steps * recipe.batch_size)
    loader = DataLoader(dataset, recipe.batch_size, sampler=sampler)
    settings = TrainingSettings(
        run_directory,
        tells_epochs=False,
        max_epochs=1,
        learning_rate=recipe.learning_rate,
        gradient_clip_norm=GRADIENT_CLIP_NORM,
        seed=seed,
        progress=progress,
    )
    with part_of_many():
        fit(network, SegmentObjective(loss, shots.silence), loader, settings)
    centres = loss.centres.detach().cpu().numpy()
    return Embedder(network.cpu().eval(), centres[1 : 1 + len(shots.words)] if recipe.features == "sliding" else None)


def network_and_loss(recipe: SystemRecipe, n_classes: int, n_positions: int) -> tuple[nn.Module, TACos | AdaCos]:
    """One vector per segment and AdaCos, or a vector per frame and TACos."""
    if recipe.features == "sliding":
        return SlidingWindowNet(DIM, width=recipe.width), AdaCos(n_classes, DIM)
    loss = TACos(
        n_classes,
        n_positions,
        recipe.n_centres,
        DIM,
        recipe.position_weight,
        scale_rule=recipe.scale_rule,
        unit_centres=True,
    )
    return TemporalResNet(DIM, width=recipe.width), loss


def training_set(recipe: SystemRecipe, shots: Shots, seed: int) -> tuple[SegmentDataset, int, int]:
    """Oversampled segments, the number of classes and that of positions."""
    cutter = SegmentCutter(shots.silence)
    words = {word: [cutter.cut(frames) for frames in clips] for word, clips in shots.words.items()}
    background = [segment for frames in shots.background for segment in cutter.cut(frames)]
    segments, n_positions = labelled_segments(
        words, some_background(background, seed), reversed_segments=recipe.reversed_segments
    )
    return SegmentDataset(segments, seed), len(segments[0].keyword), n_positions
