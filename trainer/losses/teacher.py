"""Learning from a network that hears better: its rows are the target (knowledge distillation)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.augment.specaugment import jitter_level, mask_spectrogram

_Normalisation = (nn.BatchNorm1d, nn.BatchNorm2d)


class TeacherObjective(nn.Module):
    """Named losses of a batch of crops: 1 - cosine between the network's rows and the teacher's.

    Normalisation layers keep the statistics they came with: the network is a trained one, and a batch of noise must not
    shift what it makes of clean speech.

    Args:
        silence: value of a silent band, for the augmentations.
    """

    def __init__(self, silence: float) -> None:
        super().__init__()
        self.silence = silence

    def forward(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Losses of `frames` (batch, time, n_mels) and `rows` (batch, time - context, dim)."""
        for module in network.modules():
            if isinstance(module, _Normalisation):
                module.eval()
        frames = mask_spectrogram(jitter_level(batch["frames"], self.silence), self.silence)
        cosine = F.cosine_similarity(network(frames), batch["rows"], dim=2)  # (batch, time - context)
        return {"loss": torch.mean(1.0 - cosine)}
