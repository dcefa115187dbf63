"""What the anomaly embedder learns: which machine, in which state, runs in which place - through noise and mixtures."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edged.features.anomaly import AnomalySpec
from trainer.augment.mixup import mixup
from trainer.data.torch_features import TorchAnomalyFeatures


class AnomalyObjective(nn.Module):
    """Waveforms -> equal level -> background noise -> mixup -> features -> network -> loss.

    Args:
        spec: the front end.
        loss: called with embeddings (batch, dim) and labels (batch, n_classes).
        n_classes: number of classes.
        noises: float32 (n_noises, segment_samples) background recordings, or None.
        noise_probability: share of samples that get one.
        snr_db: range the machine stands out of that noise by.
        mixup_probability: share of samples mixed with another.
    """

    noises: Tensor | None

    def __init__(
        self,
        spec: AnomalySpec,
        loss: nn.Module,
        n_classes: int,
        noises: Tensor | None = None,
        *,
        noise_probability: float = 0.5,
        snr_db: tuple[float, float] = (-10.0, 15.0),
        mixup_probability: float = 1.0,
    ) -> None:
        super().__init__()
        self.features = TorchAnomalyFeatures(spec)
        self.loss = loss
        self.n_classes = n_classes
        self.noise_probability = noise_probability
        self.snr_db = snr_db
        self.mixup_probability = mixup_probability
        self.register_buffer("noises", noises, persistent=False)

    def forward(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`signals` float32 (batch, segment_samples) and `classes` int64 (batch,) -> named scalar losses."""
        signals = equal_level(batch["signals"])
        labels = F.one_hot(batch["classes"], self.n_classes).float()
        if self.noises is not None:
            signals = self._with_noise(signals, self.noises)
        signals, labels = mixup(signals, labels, self.mixup_probability)
        return {"loss": self.loss(network(*self.features(signals)), labels)}

    def _with_noise(self, signals: Tensor, noises: Tensor) -> Tensor:
        n, length = signals.shape
        chosen = noises[torch.randint(len(noises), (n,), device=signals.device)]
        shift = int(torch.randint(length, (1,)))
        low, high = self.snr_db
        snr_db = low + (high - low) * torch.rand(n, 1, device=signals.device)
        heard = torch.rand(n, 1, device=signals.device) < self.noise_probability
        gain = torch.where(heard, 10.0 ** (-snr_db / 20.0), 0.0)
        return equal_level(signals + gain * equal_level(chosen.roll(shift, dims=1)))


def equal_level(signals: Tensor) -> Tensor:
    """Every row scaled to an RMS of one; silence stays silent."""
    return signals / signals.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
