"""ArcFace (thesis 2.4.1, eqs. 6-9): softmax of scaled cosines with an angular margin at the class of the sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.precision import in_float32

EPSILON = 1e-6
"""Cosines stay this far from +-1, where the angle has no derivative."""


def class_cosines(embeddings: Tensor, centres: Tensor) -> Tensor:
    """Cosine of every embedding with every centre (eq. 9): (batch, dim), (n_classes, dim) -> (batch, n_classes)."""
    return F.linear(F.normalize(embeddings, dim=1), F.normalize(centres, dim=1))


def margin_cosines(cosines: Tensor, margin_rad: Tensor | float) -> Tensor:
    """Cosine of the angle widened by the margin (eq. 8), elementwise.

    >>> margin_cosines(torch.tensor([0.0]), math.pi / 2)
    tensor([-1.])
    """
    return torch.cos(torch.arccos(cosines.clamp(-1.0 + EPSILON, 1.0 - EPSILON)) + margin_rad)


def arcface_loss(cosines: Tensor, labels: Tensor, scale: float, margin_rad: float) -> Tensor:
    """Cross-entropy of eqs. 6 and 7.

    In the denominator each class has the margin in proportion to its label, in the numerator the whole one; the two
    differ for mixed-up samples only.

    Args:
        cosines: (batch, n_classes).
        labels: (batch, n_classes), rows sum to one.
        scale: s, positive.
        margin_rad: m, in [0, pi / 2].

    Returns:
        scalar, mean over the batch.
    """
    numerator = scale * margin_cosines(cosines, margin_rad)
    denominator = torch.logsumexp(scale * margin_cosines(cosines, margin_rad * labels), dim=1, keepdim=True)
    return -(labels * (numerator - denominator)).sum(dim=1).mean()


class ArcFace(nn.Module):
    """The loss with its trained class centres.

    Args:
        n_classes: number of classes.
        dim: embedding dimension.
        scale: s; the default is that of the ArcFace paper (Deng et al. 2019), as is the margin's.
        margin_rad: m.
    """

    def __init__(self, n_classes: int, dim: int, *, scale: float = 64.0, margin_rad: float = 0.5) -> None:
        super().__init__()
        if scale <= 0.0 or not 0.0 <= margin_rad <= math.pi / 2:
            raise ValueError("ArcFace needs a positive scale and a margin in [0, pi / 2]")
        self.centres = nn.Parameter(F.normalize(torch.randn(n_classes, dim), dim=1))
        self.scale, self.margin_rad = scale, margin_rad

    @in_float32
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(batch, dim), (batch, n_classes) -> scalar."""
        return arcface_loss(class_cosines(embeddings, self.centres), labels, self.scale, self.margin_rad)
