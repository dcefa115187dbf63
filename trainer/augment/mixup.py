"""Mixup (thesis 5.3.1): convex combinations of waveforms and of their labels."""

from __future__ import annotations

import torch
from torch import Tensor


def mixup(
    signals: Tensor, labels: Tensor, probability: float = 1.0, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Mix every sample with another of the batch, lambda ~ U(0, 1) per sample.

    Args:
        signals: (batch, n_samples), of equal level, so that lambda is the share heard.
        labels: (batch, n_classes), one-hot or soft.
        probability: share of the batch that is mixed; the rest passes unchanged.
        generator: of the random numbers; torch's own when None.

    Returns:
        mixed signals and labels, same shapes.
    """
    n = len(signals)
    share = torch.rand(n, generator=generator, device=signals.device)
    keep = torch.rand(n, generator=generator, device=signals.device) >= probability
    share = torch.where(keep, torch.ones_like(share), share)[:, None]
    partner = torch.randperm(n, generator=generator, device=signals.device)
    return share * signals + (1 - share) * signals[partner], share * labels + (1 - share) * labels[partner]
