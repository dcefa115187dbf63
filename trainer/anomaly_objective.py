"""What the anomaly embedder learns: which machine, in which state, runs in which place - through noise and mixtures.

waveforms -> equal level -> background noise -> mixup -> features -> (masks) -> head: network and losses
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edged.features.anomaly import AnomalySpec
from trainer.augment.featex import exchange_features
from trainer.augment.mixup import mixup
from trainer.augment.specaugment import mask_spectrogram
from trainer.augment.statex import exchange_statistics
from trainer.data.torch_features import TorchAnomalyFeatures

EXCHANGE_PROBABILITY = 0.5
"""Of statistics and of features, each (thesis 5.7.1)."""


class Head(Protocol):
    """Losses on top of a network."""

    def __call__(self, network: nn.Module, features: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Named scalar losses of one batch; `labels` (batch, n_classes). ``loss`` is minimised."""


class AnomalyObjective(nn.Module):
    """Augmentation and features in front of a head.

    Args:
        spec: the front end.
        head: the losses.
        n_classes: number of classes.
        noises: float32 (n_noises, segment_samples) background recordings, or None.
        noise_probability: share of samples that get one.
        snr_db: range the machine stands out of that noise by.
        mixup_probability: share of samples mixed with another.
        specaugment: whether the first feature, an image, is masked.
    """

    noises: Tensor | None

    def __init__(
        self,
        spec: AnomalySpec,
        head: Head,
        n_classes: int,
        noises: Tensor | None = None,
        *,
        noise_probability: float = 0.5,
        snr_db: tuple[float, float] = (-10.0, 15.0),
        mixup_probability: float = 1.0,
        specaugment: bool = False,
    ) -> None:
        super().__init__()
        self.features = TorchAnomalyFeatures(spec)
        self.head = head
        self.n_classes = n_classes
        self.noise_probability = noise_probability
        self.snr_db = snr_db
        self.mixup_probability = mixup_probability
        self.specaugment = specaugment
        self.register_buffer("noises", noises, persistent=False)

    def forward(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`signals` float32 (batch, segment_samples) and `classes` int64 (batch,) -> named scalar losses."""
        signals = equal_level(batch["signals"])
        labels = F.one_hot(batch["classes"], self.n_classes).float()
        if self.noises is not None:
            signals = self._with_noise(signals, self.noises)
        signals, labels = mixup(signals, labels, self.mixup_probability)
        return self.head(network, self._masked(self.features(signals)), labels)

    def _masked(self, features: Sequence[Tensor]) -> Sequence[Tensor]:
        if not self.specaugment or features[0].ndim != 3:
            return features
        image = features[0]
        return mask_spectrogram(image, float(image.mean())), *features[1:]

    def _with_noise(self, signals: Tensor, noises: Tensor) -> Tensor:
        n, length = signals.shape
        chosen = noises[torch.randint(len(noises), (n,), device=signals.device)]
        shift = int(torch.randint(length, (1,)))
        low, high = self.snr_db
        snr_db = low + (high - low) * torch.rand(n, 1, device=signals.device)
        heard = torch.rand(n, 1, device=signals.device) < self.noise_probability
        gain = torch.where(heard, 10.0 ** (-snr_db / 20.0), 0.0)
        return equal_level(signals + gain * equal_level(chosen.roll(shift, dims=1)))


class OneLoss(nn.Module):
    """The network's embedding under one loss."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, network: nn.Module, features: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """See `Head`."""
        return {"loss": self.loss(network(*features), labels)}


class PerBranchLoss(nn.Module):
    """A loss for each branch: the same as two networks trained apart and joined afterwards (Table 17)."""

    def __init__(self, image: nn.Module, spectrum: nn.Module) -> None:
        super().__init__()
        self.image, self.spectrum = image, spectrum

    def forward(self, network: nn.Module, features: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """See `Head`."""
        first, second = network.branches(*features)  # type: ignore[operator]
        losses = {"image": self.image(first, labels), "spectrum": self.spectrum(second, labels)}
        return losses | {"loss": losses["image"] + losses["spectrum"]}


class SelfSupervision(nn.Module):
    """Two losses (thesis 5.7.2): which class it is, and with what it was exchanged.

    Statistics of half of the images are exchanged, then the branches' embeddings of half of the samples; the second
    loss tells the originals, and whom the parts came from, over 3, 3 or 9 times the classes.

    Args:
        regular: the classification loss on samples as they are, or None.
        ssl: the loss over the multiplied classes.
        statex: whether statistics are exchanged.
        featex: whether features are exchanged.
    """

    def __init__(self, regular: nn.Module | None, ssl: nn.Module, *, statex: bool, featex: bool) -> None:
        super().__init__()
        self.regular, self.ssl = regular, ssl
        self.statex, self.featex = statex, featex

    def forward(self, network: nn.Module, features: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """See `Head`."""
        image, spectrum = features
        exchanged, ssl_labels = image, labels
        if self.statex:
            exchanged, ssl_labels, _ = exchange_statistics(
                image, labels, axis="temporal", probability=EXCHANGE_PROBABILITY
            )
        first, second = network.branches(exchanged, spectrum)  # type: ignore[operator]
        losses = {}
        if self.regular is not None:
            plain = network.image_embedding(image) if self.statex else first  # type: ignore[operator]
            losses["regular"] = self.regular(network.combine(plain, second), labels)  # type: ignore[operator]
        if self.featex:
            first, second, ssl_labels = exchange_features(first, second, ssl_labels, probability=EXCHANGE_PROBABILITY)
        losses["ssl"] = self.ssl(network.combine(first, second), ssl_labels)  # type: ignore[operator]
        return losses | {"loss": torch.stack(list(losses.values())).sum()}


class Reconstruction(nn.Module):
    """The output of an autoencoder is its error."""

    def forward(self, network: nn.Module, features: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """See `Head`."""
        return {"loss": network(*features).mean()}


def equal_level(signals: Tensor) -> Tensor:
    """Every row scaled to an RMS of one; silence stays silent."""
    return signals / signals.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
