"""AdaProj (thesis 5.6, eqs. 54-56): the closer an embedding to the linear subspace of a class, the likelier the class.

By lemma 3.1 the squared distance of eq. 55 is 2 (1 - cosine), so the logit here is scale * cosine: the scale stands
once and with the sign that makes the target class the most likely (printed, it stands twice and favours the farthest).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.losses.adacos import adacos_loss, adaptive_scale
from trainer.losses.running_scale import RunningScale
from trainer.losses.subcluster_adacos import initial_scale
from trainer.precision import in_float32

N_BASIS = 32
"""Basis vectors per class of the experiments (5.6.2)."""


def project(embeddings: Tensor, bases: Tensor) -> Tensor:
    """Projection on the span of each class's basis vectors (eq. 54), exact where these are orthonormal.

    Args:
        embeddings: (batch, dim).
        bases: (n_classes, n_basis, dim), unit vectors.

    Returns:
        (batch, n_classes, dim).
    """
    weights = torch.einsum("bd,jcd->bjc", embeddings, bases)
    return torch.einsum("bjc,jcd->bjd", weights, bases)


def subspace_cosines(embeddings: Tensor, bases: Tensor) -> Tensor:
    """Cosine of each embedding with its projection on each class's subspace: -> (batch, n_classes), within [0, 1].

    Args:
        embeddings: (batch, dim).
        bases: (n_classes, n_basis, dim), of any length; projected on as unit vectors.
    """
    unit = F.normalize(embeddings, dim=1)
    projected = F.normalize(project(unit, F.normalize(bases, dim=2)), dim=2)
    return torch.einsum("bd,bjd->bj", unit, projected)


class AdaProj(nn.Module):
    """The loss with its basis vectors and its scale, that of AdaCos over one logit per class.

    Args:
        n_classes: number of classes, at least three.
        dim: embedding dimension, well above `n_basis`: at equal size all embeddings are optimal (5.6.1), and the
            cosines with foreign subspaces, about sqrt(n_basis / dim), let the scale diverge beyond 1 / sqrt(2).
        n_basis: basis vectors per class.
        trainable: whether the basis vectors move (5.6.2 fixes them).
    """

    def __init__(self, n_classes: int, dim: int, n_basis: int = N_BASIS, *, trainable: bool = False) -> None:
        super().__init__()
        if n_classes < 3:
            raise ValueError("AdaProj needs at least three classes")
        if n_basis >= dim:
            raise ValueError(f"a subspace of {n_basis} dimensions leaves nothing outside it in {dim}")
        self.bases = nn.Parameter(F.normalize(torch.randn(n_classes, n_basis, dim), dim=2), requires_grad=trainable)
        self.scale = RunningScale(initial_scale(n_classes, 1), adaptive_scale)

    @in_float32
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(batch, dim), (batch, n_classes) -> scalar; in training the scale is updated first."""
        cosines = subspace_cosines(embeddings, self.bases)
        return adacos_loss(cosines, labels, self.scale(cosines, labels))
