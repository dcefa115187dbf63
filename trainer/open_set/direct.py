"""The directly trained system (thesis 6.2.2): the dual branch on a few clips, one sub-cluster per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from edged.errors import UsageError
from edged.features.anomaly import AnomalySpec
from edged.flow import Float32Array
from trainer.anomaly_objective import equal_level
from trainer.augment.mixup import mixup
from trainer.data.torch_features import TorchAnomalyFeatures
from trainer.external.shallow import EvenBatches, LabelledRows
from trainer.interruption import part_of_many
from trainer.losses.subcluster_adacos import SubclusterAdaCos
from trainer.models.compact import CompactDualBranch, LogMelBranch
from trainer.models.dual_branch import DualBranch, SpectrumBranch
from trainer.open_set.clips import SoundClip, read_waveform
from trainer.open_set.decide import Embedded, class_means
from trainer.open_set.folds import Fold
from trainer.open_set.recipe import OpenSetRecipe
from trainer.training import TrainingSettings, fit

CLIPS_PER_RUN = 16


class SoundObjective(nn.Module):
    """Waveforms -> turned round -> equal level -> mixup -> features -> network -> loss.

    Signals begin at a random place, so that the network does not learn where the few shots begin.
    """

    def __init__(self, spec: AnomalySpec, loss: nn.Module, n_classes: int, mixup_probability: float) -> None:
        super().__init__()
        self.features = TorchAnomalyFeatures(spec)
        self.loss = loss
        self.n_classes = n_classes
        self.mixup_probability = mixup_probability

    def forward(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`signals` float32 (batch, segment_samples) and `classes` int64 (batch,) -> named scalar losses."""
        labels = F.one_hot(batch["classes"], self.n_classes).float()
        signals, labels = mixup(equal_level(turned_round(batch["signals"])), labels, self.mixup_probability)
        return {"loss": self.loss(network(*self.features(signals)), labels)}


def turned_round(signals: Tensor) -> Tensor:
    """Each row shifted by a random number of samples, its end put in front: (batch, n_samples)."""
    shifts = torch.randint(signals.shape[1], (len(signals),)).tolist()
    return torch.stack([row.roll(shift) for row, shift in zip(signals, shifts, strict=True)])


def directly_trained(
    fold: Fold, recipe: OpenSetRecipe, run_directory: Path, *, seed: int, progress: bool = False
) -> Embedded:
    """Train on the fold's shots and embed its clips; a class is known by the mean of its shots.

    Raises:
        UsageError: fewer than three classes.
    """
    n_classes = len(fold.roles.trained)
    if n_classes < 3:  # with one centre each the loss begins with a scale of zero
        raise UsageError(
            f"{n_classes} classes to tell apart", fix="give three, or leave out the directly trained system"
        )
    pl.seed_everything(seed, workers=True, verbose=False)
    spec = network_spec(recipe)
    network = build_network(recipe, spec)
    objective = SoundObjective(spec, SubclusterAdaCos(n_classes, 1, network.dim), n_classes, recipe.mixup_probability)
    batches = EvenBatches(len(fold.train), recipe.batch_size)
    signals = np.stack([read_waveform(clip.path, recipe.segment_samples) for clip in fold.train])
    loader = DataLoader(LabelledRows("signals", signals, fold.train_classes), batch_sampler=batches)
    settings = TrainingSettings(
        tells_epochs=False,
        run_directory=run_directory,
        max_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        constant_rate=True,
        seed=seed,
        progress=progress,
    )
    with part_of_many():
        fit(network, objective, loader, settings)
    anchors, classes = class_means(embed(network, spec, fold.train), fold.train_classes)
    return Embedded(anchors, classes, embed(network, spec, fold.test))


def network_spec(recipe: OpenSetRecipe) -> AnomalySpec:
    """The front end of a recipe's network."""
    image = "spectrogram" if recipe.network == "dual-branch" else "log_mel"
    hop = min(40_960, recipe.segment_samples // 512 * 512)
    return AnomalySpec(
        inputs=(image, "spectrum"), statistics={}, segment_samples=recipe.segment_samples, hop_samples=hop
    )


def build_network(recipe: OpenSetRecipe, spec: AnomalySpec) -> DualBranch | CompactDualBranch:
    """The untrained network."""
    n_bins = spec.segment_samples // 2
    if recipe.network == "dual-branch":
        return DualBranch(n_frames=spec.n_frames, n_bins=spec.n_fft // 2 + 1, n_spectrum_bins=n_bins)
    if recipe.network == "compact":
        return CompactDualBranch(n_frames=spec.n_frames, n_mels=spec.n_mels, n_spectrum_bins=n_bins)
    return CompactDualBranch(LogMelBranch(spec.n_frames, spec.n_mels, width=8), SpectrumBranch(n_bins, width=32))


@torch.no_grad()
def embed(network: nn.Module, spec: AnomalySpec, clips: Sequence[SoundClip]) -> Float32Array:
    """Embeddings of clips at equal level, as in training: float32 (n_clips, dim)."""
    features, network = TorchAnomalyFeatures(spec), network.cpu().eval()
    rows = []
    for start in range(0, len(clips), CLIPS_PER_RUN):
        signals = np.stack([read_waveform(c.path, spec.segment_samples) for c in clips[start : start + CLIPS_PER_RUN]])
        rows.append(network(*features(equal_level(torch.from_numpy(signals)))).numpy())
    return np.concatenate(rows)
