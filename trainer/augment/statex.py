"""Statistics exchange, StatEx (thesis 5.7.1, eqs. 59 to 61): pseudo-anomalies with another sample's mean and deviation.

Whole images are exchanged, not parts of them, as in the thesis. Where the temporal mean is removed from the images only
temporal StatEx makes sense: their statistics over time are those of the removal.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from trainer.augment.exchange import draw_exchanged, draw_partners, tripled

Axis = Literal["temporal", "frequency"]

_TAKEN_OVER = {"temporal": 2, "frequency": 1}
"""Axis of (batch, time, frequency) that the statistics are taken over: temporal StatEx has one pair per time frame."""

SILENT = 1e-6
"""A deviation below this share of the mean (or of one) is rounding, which must not be blown up to a signal."""


def exchange_statistics(
    images: Tensor,
    labels: Tensor,
    *,
    axis: Axis,
    probability: float = 0.5,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The variant with three times as many classes (Definition 5.5).

    Args:
        images: (batch, time, frequency).
        labels: (batch, n), one-hot or soft.
        axis: ``temporal`` exchanges the statistics of time frames, ``frequency`` those of frequency bins.
        probability: share of the batch that is exchanged; the rest passes unchanged.
        generator: of the random numbers; torch's own when None.

    Returns:
        images, same shape; labels (batch, 3n), see `tripled`; which samples were exchanged, bool (batch,).
    """
    partners = draw_partners(len(images), images.device, generator)
    exchanged = draw_exchanged(partners, probability, generator)
    changed = torch.where(exchanged[:, None, None], with_statistics_of(images, images[partners], axis), images)
    return changed, tripled(labels, exchanged, labels[partners]), exchanged


def exchange_statistics_original(
    images: Tensor, labels: Tensor, *, axis: Axis, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """The original (Definition 5.4): every sample and its exchanged version, with a class for every pair of classes.

    The pairs grow with the square of the classes; the variant is for more than a few dozen.

    Args:
        images: (batch, time, frequency).
        labels: (batch, n), one-hot or soft.
        axis: ``temporal`` exchanges the statistics of time frames, ``frequency`` those of frequency bins.
        generator: of the random numbers; torch's own when None.

    Returns:
        images (2 batch, time, frequency), the originals first; labels (2 batch, n + n * n), the original classes first,
        then the pairs (own class, partner's class) row by row (eq. 59).
    """
    partners = draw_partners(len(images), images.device, generator)
    pairs = (labels[:, :, None] * labels[partners][:, None, :]).flatten(1)  # (batch, n * n)
    originals = torch.cat([labels, torch.zeros_like(pairs)], dim=1)
    changed = torch.cat([torch.zeros_like(labels), pairs], dim=1)
    both = torch.cat([images, with_statistics_of(images, images[partners], axis)])
    return both, torch.cat([originals, changed])


def with_statistics_of(images: Tensor, partners: Tensor, axis: Axis) -> Tensor:
    """Images with their mean and standard deviation replaced by those of their partners (eq. 59).

    Args:
        images: (batch, time, frequency); a silent frame or bin becomes its partner's mean.
        partners: same shape.
        axis: see `exchange_statistics`.
    """
    over = _TAKEN_OVER[axis]
    std, mean = torch.std_mean(images, dim=over, correction=0, keepdim=True)
    new_std, new_mean = torch.std_mean(partners, dim=over, correction=0, keepdim=True)
    silent = std <= SILENT * (1.0 + mean.abs())
    gain = torch.where(silent, 0.0, new_std / torch.where(silent, 1.0, std))
    return (images - mean) * gain + new_mean
