"""What StatEx and FeatEx share: who exchanges with whom, and the classes that result (thesis 5.7.1, eqs. 60 to 62)."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_partners(n: int, device: torch.device, generator: torch.Generator | None = None) -> Tensor:
    """For every sample of a batch another one, each taken once: int64 (n,).

    A random permutation in one cycle: nobody is its own partner, unless it is alone.
    """
    drawn_on = generator.device if generator is not None else device
    order = torch.randperm(n, generator=generator, device=drawn_on)
    partners = torch.empty_like(order)
    partners[order] = order.roll(1)
    return partners.to(device)


def draw_exchanged(partners: Tensor, probability: float, generator: torch.Generator | None = None) -> Tensor:
    """Which samples are exchanged: bool (n,); never one that is its own partner.

    Args:
        partners: int64 (n,), see `draw_partners`.
        probability: share of the batch that is exchanged.
        generator: of the random numbers; torch's own when None.
    """
    drawn_on = generator.device if generator is not None else partners.device
    drawn = torch.rand(len(partners), generator=generator, device=drawn_on).to(partners.device) < probability
    return drawn & (partners != torch.arange(len(partners), device=partners.device))


def tripled(labels: Tensor, exchanged: Tensor, partner_labels: Tensor) -> Tensor:
    """Labels of three times as many classes (eqs. 60 to 62); rows keep their sum.

    Args:
        labels: (batch, n), one-hot or soft.
        exchanged: bool (batch,).
        partner_labels: (batch, n) of the samples exchanged with.

    Returns:
        (batch, 3n): (label, 0, 0) of an unchanged sample, (0, label / 2, partner's label / 2) of an exchanged one.

    >>> one_hot = torch.eye(2)
    >>> tripled(one_hot, torch.tensor([False, True]), one_hot.flip(0)).tolist()
    [[1.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.5, 0.5, 0.0]]
    """
    share = exchanged[:, None].to(labels.dtype)
    return torch.cat([(1.0 - share) * labels, 0.5 * share * labels, 0.5 * share * partner_labels], dim=1)
