"""Sub-cluster AdaCos (thesis 3.4.1, eqs. 38-42): an angular margin loss with several fixed centres per class.

The scale is set from the batch before the gradient is taken; no gradient flows through it. The loss needs mixup:
without it the scale grows exponentially (Lemma 3.6), of which the module warns.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.losses.running_scale import SMALLEST_LOG_B, of_all_processes
from trainer.precision import in_float32

UNMIXED_BATCHES = 10
"""So many first batches without a mixed-up sample mean that there is no mixup."""


def initial_scale(n_classes: int, n_centres: int) -> float:
    """Scale at step 0 (eq. 38, first case).

    >>> round(initial_scale(10, 16), 3)
    7.169
    """
    return math.sqrt(2.0) * math.log(n_classes * n_centres - 1)


def cosine_logits(embeddings: Tensor, centres: Tensor) -> Tensor:
    """Cosine of every embedding with every centre: (batch, dim), (n_classes, n_centres, dim) -> (batch, J, C)."""
    unit = F.normalize(embeddings, dim=1)
    return torch.einsum("bd,jcd->bjc", unit, F.normalize(centres, dim=2))


@torch.no_grad()
def adaptive_scale(cosines: Tensor, labels: Tensor, previous_scale: Tensor) -> Tensor:
    """The scale of this step (eq. 38 with 39 and 40).

    The median angle is that of the mixed-up angles: each sample's angle to the centres of a class, averaged over the
    class's centres and weighted by the sample's mixed label, so that it stays within [0, pi]. The batch is that of all
    processes.

    Args:
        cosines: (batch, n_classes, n_centres).
        labels: (batch, n_classes), rows sum to one.
        previous_scale: scalar of the step before.

    Returns:
        scalar, positive.
    """
    log_sums = torch.logsumexp((previous_scale * cosines).flatten(1), dim=1)  # (batch,)
    angles = (labels * torch.arccos(cosines.clamp(-1.0, 1.0)).mean(dim=2)).sum(dim=1)
    log_sums, angles = of_all_processes(torch.stack([log_sums, angles], dim=1)).unbind(dim=1)
    log_b_average = torch.logsumexp(log_sums, dim=0) - math.log(len(log_sums))
    median = torch.quantile(angles, 0.5)
    return log_b_average.clamp(min=SMALLEST_LOG_B) / torch.cos(median.clamp(max=math.pi / 4))


def subcluster_adacos_loss(cosines: Tensor, labels: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy of the class probabilities, each the sum over the class's centres (eqs. 41, 42).

    Args:
        cosines: (batch, n_classes, n_centres).
        labels: (batch, n_classes), rows sum to one.
        scale: scalar, taken as a constant.

    Returns:
        scalar, mean over the batch.
    """
    log_centres = F.log_softmax((scale.detach() * cosines).flatten(1), dim=1).view_as(cosines)
    log_classes = torch.logsumexp(log_centres, dim=2)  # (batch, n_classes)
    return -(labels * log_classes).sum(dim=1).mean()


class SubclusterAdaCos(nn.Module):
    """The loss with its centres and its running scale.

    Args:
        n_classes: number of classes.
        n_centres: centres per class (16 in chapter 5).
        dim: embedding dimension.
        trainable: whether the centres move; fixed, random and nearly orthogonal ones exclude trivial solutions (5.3.1).
    """

    centres: Tensor
    scale: Tensor
    has_started: Tensor

    def __init__(self, n_classes: int, n_centres: int, dim: int, *, trainable: bool = False) -> None:
        super().__init__()
        if n_classes * n_centres < 3:
            raise ValueError("sub-cluster AdaCos needs at least three centres in all")
        centres = F.normalize(torch.randn(n_classes, n_centres, dim), dim=2)
        self.centres = nn.Parameter(centres, requires_grad=trainable)
        self.register_buffer("scale", torch.tensor(initial_scale(n_classes, n_centres)))
        self.register_buffer("has_started", torch.tensor(False))
        self._n_unmixed = 0

    @in_float32
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(batch, dim), (batch, n_classes) -> scalar; in training the scale is updated first."""
        cosines = cosine_logits(embeddings, self.centres)
        if self.training:
            self._expect_mixup(labels)
            self._update(cosines, labels)
        return subcluster_adacos_loss(cosines, labels, self.scale)

    @torch.no_grad()
    def _update(self, cosines: Tensor, labels: Tensor) -> None:
        """Step 0 keeps the initial scale."""
        next_scale = adaptive_scale(cosines, labels, self.scale)
        self.scale.copy_(torch.where(self.has_started, next_scale, self.scale))  # a branch would wait for the GPU
        self.has_started.fill_(True)

    def _expect_mixup(self, labels: Tensor) -> None:
        """Warn once if no label of the first batches is shared; looks no further after the first that is."""
        if self._n_unmixed >= UNMIXED_BATCHES:
            return
        is_mixed = bool((labels.amax(dim=1) < 1.0).any())
        self._n_unmixed += UNMIXED_BATCHES + 1 if is_mixed else 1
        if self._n_unmixed == UNMIXED_BATCHES:
            warnings.warn("sub-cluster AdaCos without mixup: its scale can grow without bound", stacklevel=3)
