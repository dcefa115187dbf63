"""The objective of the thesis's keyword embedders (section 6.3.4): SpecAugment, mixup, then the loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainer.augment.specaugment import mask_spectrogram
from trainer.losses.adacos import AdaCos
from trainer.losses.tacos import TACos

MAX_MASKED_FRAMES = 4


class SegmentObjective(nn.Module):
    """Segments with shared labels, every one mixed with another of the batch.

    Args:
        loss: TACos for embeddings with a time axis, AdaCos for one vector per segment (positions do not count then).
        silence: value of a masked band or frame.
    """

    def __init__(self, loss: TACos | AdaCos, silence: float) -> None:
        super().__init__()
        self.loss, self.silence = loss, silence

    def forward(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`frames` (batch, time, n_mels), `keyword` (batch, classes), `position` (batch, positions) -> `loss`."""
        frames = mask_spectrogram(batch["frames"], self.silence, max_frames=MAX_MASKED_FRAMES)
        share = torch.rand(len(frames), 1, device=frames.device)
        partner = torch.randperm(len(frames), device=frames.device)
        keyword, position = (_mixed(batch[name], share, partner) for name in ("keyword", "position"))
        embeddings = network(_mixed(frames, share.unsqueeze(2), partner))
        if isinstance(self.loss, TACos):
            return {"loss": self.loss(embeddings, keyword, position)}
        return {"loss": self.loss(embeddings, keyword)}


def _mixed(values: Tensor, share: Tensor, partner: Tensor) -> Tensor:
    return share * values + (1 - share) * values[partner]
