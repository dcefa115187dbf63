"""Softmax cross-entropy (CXE) on a linear layer: the classification loss the margin losses are compared with (2.4).

Labels are class probabilities throughout, so that mixup's soft labels need no second code path.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.precision import in_float32


def softmax_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of -sum_j lab_j log softmax(logits)_j, with softmax as in eq. 5.

    Args:
        logits: (batch, n_classes).
        labels: (batch, n_classes), rows sum to one.

    Returns:
        scalar.

    >>> softmax_cross_entropy(torch.zeros(1, 4), torch.tensor([[1.0, 0.0, 0.0, 0.0]])).exp()
    tensor(4.)
    """
    return F.cross_entropy(logits, labels)


class SoftmaxCrossEntropy(nn.Module):
    """The loss with its linear layer, which has no bias: a constant embedding must not pay.

    Args:
        n_classes: number of classes.
        dim: embedding dimension.
    """

    def __init__(self, n_classes: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_classes, dim) / math.sqrt(dim))

    @in_float32
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(batch, dim), (batch, n_classes) -> scalar."""
        return softmax_cross_entropy(F.linear(embeddings, self.weight), labels)
