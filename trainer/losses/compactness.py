"""Compactness losses (thesis 2.3.2 eq. 3, 3.3.1): the squared distance of every embedding to a fixed centre.

A network that maps everything to its centre minimises them; `trainer.losses.trivial_solution` tells which networks can.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.losses.cross_entropy import SoftmaxCrossEntropy
from trainer.precision import in_float32


def compactness_loss(embeddings: Tensor, centre: Tensor) -> Tensor:
    """One class (eq. 3): mean squared Euclidean distance; (batch, dim), (dim,) -> scalar.

    >>> compactness_loss(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2))
    tensor(12.5000)
    """
    return (embeddings - centre).square().sum(dim=1).mean()


def intra_class_compactness_loss(embeddings: Tensor, centres: Tensor, labels: Tensor) -> Tensor:
    """Every sample's distance to the centre of its own class (Table 5); equals eq. 3 for a single class.

    Args:
        embeddings: (batch, dim).
        centres: (n_classes, dim), constants.
        labels: (batch, n_classes), rows sum to one; a mixed-up sample is drawn to both centres.

    Returns:
        scalar, mean over the batch.
    """
    distances = (embeddings.unsqueeze(1) - centres).square().sum(dim=2)  # (batch, n_classes)
    return (labels * distances).sum(dim=1).mean()


class Compactness(nn.Module):
    """Intra-class compactness on the unit sphere, with fixed random centres.

    The projection (eq. 36) keeps zero from being a trivial solution and makes random centres good ones: in a high
    dimension they are almost orthogonal (3.3.1).

    Args:
        n_classes: number of classes; 1 is the one-class model.
        dim: embedding dimension.
    """

    centres: Tensor

    def __init__(self, n_classes: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("centres", F.normalize(torch.randn(n_classes, dim), dim=1))

    @in_float32
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(batch, dim), (batch, n_classes) -> scalar."""
        return intra_class_compactness_loss(F.normalize(embeddings, dim=1), self.centres, labels)


class CompactnessCrossEntropy(nn.Module):
    """Compactness + CXE (Table 5): the classification task alone already rules out a constant embedding.

    Args:
        n_classes: number of classes, at least two.
        dim: embedding dimension.
    """

    def __init__(self, n_classes: int, dim: int) -> None:
        super().__init__()
        if n_classes < 2:
            raise ValueError("a classification task needs at least two classes")
        self.compactness = Compactness(n_classes, dim)
        self.cross_entropy = SoftmaxCrossEntropy(n_classes, dim)

    @in_float32
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(batch, dim), (batch, n_classes) -> scalar, the plain sum of both losses."""
        loss: Tensor = self.compactness(embeddings, labels) + self.cross_entropy(embeddings, labels)
        return loss
