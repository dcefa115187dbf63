"""AdaCos (thesis 2.4.1, eqs. 10-12): ArcFace without a margin and with a scale that follows the training."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.losses.arcface import class_cosines
from trainer.losses.cross_entropy import softmax_cross_entropy
from trainer.losses.running_scale import SMALLEST_LOG_B, RunningScale, of_all_processes
from trainer.losses.subcluster_adacos import initial_scale
from trainer.precision import in_float32

HARD_LABEL = 1.0 - 1e-6
"""A label from here on makes its class the sample's own; a mixed-up sample has none."""


@torch.no_grad()
def adaptive_scale(cosines: Tensor, labels: Tensor, previous_scale: Tensor) -> Tensor:
    """The scale of this step (eq. 10 with 11).

    Mixed-up samples belong to no class, so all their classes count in B_avg, and their angle is the mixture of the
    angles to both classes (as for sub-cluster AdaCos, 3.4.1). The batch is that of all processes.

    Args:
        cosines: (batch, n_classes).
        labels: (batch, n_classes), rows sum to one.
        previous_scale: scalar of the step before.

    Returns:
        scalar, positive.
    """
    others = (previous_scale * cosines).masked_fill(labels >= HARD_LABEL, -math.inf)
    angles = (labels * torch.arccos(cosines.clamp(-1.0, 1.0))).sum(dim=1)
    log_sums, angles = of_all_processes(torch.stack([torch.logsumexp(others, dim=1), angles], dim=1)).unbind(dim=1)
    log_b_average = torch.logsumexp(log_sums, dim=0) - math.log(len(log_sums))
    median = torch.quantile(angles, 0.5)
    return log_b_average.clamp(min=SMALLEST_LOG_B) / torch.cos(median.clamp(max=math.pi / 4))


def adacos_loss(cosines: Tensor, labels: Tensor, scale: Tensor) -> Tensor:
    """Eq. 12: (batch, n_classes), (batch, n_classes), scalar taken as a constant -> scalar, mean over the batch."""
    return softmax_cross_entropy(scale.detach() * cosines, labels)


class AdaCos(nn.Module):
    """The loss with its trained class centres and its scale.

    Args:
        n_classes: number of classes, at least three (two make the initial scale zero).
        dim: embedding dimension.
        dynamic: whether the scale follows the training or stays at its initial value.
        trainable: whether the centres move; fixed ones exclude trivial solutions (5.3.1).
    """

    def __init__(self, n_classes: int, dim: int, *, dynamic: bool = True, trainable: bool = True) -> None:
        super().__init__()
        if n_classes < 3:
            raise ValueError("AdaCos needs at least three classes")
        self.centres = nn.Parameter(F.normalize(torch.randn(n_classes, dim), dim=1), requires_grad=trainable)
        self.scale = RunningScale(initial_scale(n_classes, 1), adaptive_scale if dynamic else None)

    @in_float32
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(batch, dim), (batch, n_classes) -> scalar; in training the scale is updated first."""
        cosines = class_cosines(embeddings, self.centres)
        return adacos_loss(cosines, labels, self.scale(cosines, labels))
