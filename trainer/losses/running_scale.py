"""The state of a dynamically adaptive scale: that of step t follows from the batch and the scale of step t - 1."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Rule = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(cosines, labels, previous scale) -> scale, each a tensor; without gradient."""


class RunningScale(nn.Module):
    """A scale that is saved with the loss and moves in training only.

    Args:
        initial: scale of step 0.
        rule: what makes the next one; None keeps the initial scale for good.
    """

    value: Tensor
    has_started: Tensor

    def __init__(self, initial: float, rule: Rule | None) -> None:
        super().__init__()
        self.rule = rule
        self.register_buffer("value", torch.tensor(initial))
        self.register_buffer("has_started", torch.tensor(False))

    @torch.no_grad()
    def forward(self, cosines: Tensor, labels: Tensor) -> Tensor:
        """The scale of this step as a constant: (batch, n_classes), (batch, n_classes) -> scalar."""
        if self.training and self.rule is not None:
            if bool(self.has_started):
                self.value.copy_(self.rule(cosines, labels, self.value))
            self.has_started.fill_(True)
        return self.value.clone()
