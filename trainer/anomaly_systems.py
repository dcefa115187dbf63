"""What a recipe stands for: front end, network, loss and objective of an anomaly embedder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from edged.errors import ConfigError
from edged.features.anomaly import AnomalySpec, NetworkInput
from edged.flow import SAMPLE_RATE_HZ
from trainer.anomaly_bundle import STATISTICS
from trainer.anomaly_objective import (
    AnomalyObjective,
    Head,
    OneLoss,
    PerBranchLoss,
    Reconstruction,
    SelfSupervision,
    equal_level,
)
from trainer.anomaly_recipe import UNTRAINED, AnomalyRecipe, NetworkName
from trainer.data.corpus import FULL_SCALE, Corpus
from trainer.data.torch_features import TorchAnomalyFeatures
from trainer.losses.adacos import AdaCos
from trainer.losses.adaproj import AdaProj
from trainer.losses.arcface import ArcFace
from trainer.losses.compactness import Compactness, CompactnessCrossEntropy
from trainer.losses.cross_entropy import SoftmaxCrossEntropy
from trainer.losses.subcluster_adacos import SubclusterAdaCos
from trainer.losses.trivial_solution import require_no_trivial_solution
from trainer.models.autoencoder import Autoencoder
from trainer.models.baseline_resnet import BaselineResNet
from trainer.models.compact import CompactDualBranch, LogMelBranch
from trainer.models.dual_branch import Combination, DualBranch, SpectrogramBranch, SpectrumBranch
from trainer.models.input_statistics import InputStatistics
from trainer.models.standardisation import Standardised

INPUTS: dict[NetworkName, tuple[NetworkInput, ...]] = {
    "compact": ("log_mel", "spectrum"),
    "dual-branch": ("spectrogram", "spectrum"),
    "spectrogram": ("spectrogram",),
    "spectrum": ("spectrum",),
    "log-mel": ("log_mel",),
    "baseline": ("log_mel",),
    "autoencoder": ("log_mel",),
    "temporal-mean": ("log_mel",),
    "temporal-maximum": ("log_mel",),
}
"""Network -> what the front end hands it, in order."""

SSL_CENTRES = True
"""The centres of the self-supervised loss are trained, unlike those of the regular one (thesis 5.7.2)."""

STANDARDISATION_BATCH = 32

MIN_CLASSES = {"compactness": 1, "compactness-cxe": 2, "cxe": 2, "arcface": 2, "subcluster-adacos": 2}
"""Classes that a loss needs at least; three where nothing is said."""


def network_spec(recipe: AnomalyRecipe) -> AnomalySpec:
    """The front end of a recipe's network, with the default statistics."""
    segment_samples = 2 * round(recipe.segment_s * SAMPLE_RATE_HZ / 2)
    hop_samples = min(AnomalySpec().hop_samples, segment_samples // 512 * 512)
    return AnomalySpec(
        inputs=INPUTS[recipe.network], statistics=STATISTICS, segment_samples=segment_samples, hop_samples=hop_samples
    )


def build_network(recipe: AnomalyRecipe) -> nn.Module:
    """The untrained network of a recipe; it has an attribute `dim`."""
    spec = network_spec(recipe)
    n_frames, n_bins, n_spectrum_bins = spec.n_frames, spec.n_fft // 2 + 1, spec.segment_samples // 2
    dim, bias = recipe.branch_dim, recipe.bias
    combine: Combination = "add" if recipe.combine == "add" else "concatenate"
    makers: dict[NetworkName, Callable[[], nn.Module]] = {
        "compact": lambda: CompactDualBranch(
            combine=combine, dim=dim, bias=bias, n_frames=n_frames, n_mels=spec.n_mels, n_spectrum_bins=n_spectrum_bins
        ),
        "dual-branch": lambda: DualBranch(
            combine=combine, dim=dim, bias=bias, n_frames=n_frames, n_bins=n_bins, n_spectrum_bins=n_spectrum_bins
        ),
        "spectrogram": lambda: SpectrogramBranch(n_frames, n_bins, dim=dim, bias=bias),
        "spectrum": lambda: SpectrumBranch(n_spectrum_bins, dim=dim, bias=bias),
        "log-mel": lambda: LogMelBranch(n_frames, spec.n_mels, dim=dim, bias=bias),
        "baseline": lambda: BaselineResNet(n_frames, spec.n_mels, dim=dim, bias=bias),
        "autoencoder": lambda: Autoencoder(spec.n_mels),
        "temporal-mean": lambda: InputStatistics("mean", spec.n_mels),
        "temporal-maximum": lambda: InputStatistics("maximum", spec.n_mels),
    }
    return makers[recipe.network]()


def fit_standardisation(network: nn.Module, recipe: AnomalyRecipe, corpus: Corpus) -> None:
    """Let a network that standardises its input see the training data once; others stay as they are."""
    if not isinstance(network, Standardised):
        return
    features, full_scale = TorchAnomalyFeatures(network_spec(recipe)), np.float32(FULL_SCALE)
    starts = range(0, len(corpus.classes), STANDARDISATION_BATCH)
    chosen = (corpus.signals[start : start + STANDARDISATION_BATCH].astype(np.float32) / full_scale for start in starts)
    network.fit_standardisation(features(equal_level(torch.from_numpy(signals)))[0] for signals in chosen)


def build_objective(
    recipe: AnomalyRecipe, network: nn.Module, n_classes: int, noises: Tensor | None = None
) -> AnomalyObjective:
    """What is minimised, with the recipe's augmentation.

    Args:
        noises: float32 (n_noises, segment_samples) background recordings, or None.

    Raises:
        ConfigError: too few classes for the loss, or a network that can collapse under a compactness loss.
    """
    return AnomalyObjective(
        network_spec(recipe),
        build_head(recipe, network, n_classes),
        n_classes,
        noises,
        noise_probability=recipe.noise_probability,
        snr_db=(recipe.snr_low_db, recipe.snr_high_db),
        mixup_probability=recipe.mixup_probability,
        specaugment=recipe.specaugment,
    )


def build_head(recipe: AnomalyRecipe, network: nn.Module, n_classes: int) -> Head:
    """The recipe's losses over `n_classes` classes.

    Raises:
        ConfigError: as of `build_objective`.
    """
    if recipe.network in UNTRAINED:
        raise ConfigError(f"{recipe.network} has nothing to train")
    if recipe.network == "autoencoder":
        return Reconstruction()
    too_few_centres = recipe.loss == "subcluster-adacos" and n_classes * recipe.n_centres < 3
    if too_few_centres or n_classes < MIN_CLASSES.get(recipe.loss, 3):
        raise ConfigError(
            f"{n_classes} classes are too few for the loss {recipe.loss}",
            fix="give more machines, sections or attributes, or take loss: compactness",
        )
    dim = int(network.dim)  # type: ignore[arg-type]
    head = _head(recipe, n_classes, dim)
    if recipe.loss == "compactness":
        examples = [torch.randn(2, *network_spec(recipe).shape(name)) for name in INPUTS[recipe.network]]
        require_no_trivial_solution(network, head, examples)
    return head


def _head(recipe: AnomalyRecipe, n_classes: int, dim: int) -> OneLoss | PerBranchLoss | SelfSupervision:
    if recipe.combine == "after-training":
        halves = [build_loss(recipe, n_classes, dim // 2) for _ in range(2)]
        return PerBranchLoss(*halves)
    if recipe.is_self_supervised:
        regular = build_loss(recipe, n_classes, dim) if recipe.regular else None
        n_ssl = n_classes * (3 if recipe.statex else 1) * (3 if recipe.featex else 1)
        ssl = build_loss(recipe, n_ssl, dim, trainable=SSL_CENTRES)
        return SelfSupervision(regular, ssl, statex=recipe.statex, featex=recipe.featex)
    return OneLoss(build_loss(recipe, n_classes, dim))


def build_loss(recipe: AnomalyRecipe, n_classes: int, dim: int, *, trainable: bool | None = None) -> nn.Module:
    """One loss: called with embeddings (batch, dim) and labels (batch, n_classes).

    Args:
        trainable: whether centres move, instead of the recipe's word.
    """
    moves = recipe.trainable_centres if trainable is None else trainable
    makers: dict[str, Callable[[], nn.Module]] = {
        "compactness": lambda: Compactness(n_classes, dim),
        "compactness-cxe": lambda: CompactnessCrossEntropy(n_classes, dim),
        "cxe": lambda: SoftmaxCrossEntropy(n_classes, dim),
        "arcface": lambda: ArcFace(n_classes, dim),
        "adacos": lambda: AdaCos(n_classes, dim, trainable=moves),
        "subcluster-adacos": lambda: SubclusterAdaCos(n_classes, recipe.n_centres, dim, trainable=moves),
        "adaproj": lambda: AdaProj(n_classes, dim, min(recipe.n_centres, dim // 2), trainable=moves),
    }
    return makers[recipe.loss]()
