"""The state of a dynamically adaptive scale: that of step t follows from the batch and the scale of step t - 1.

When several processes train together the batch is that of all of them: each contributes a few numbers per sample, and
all arrive at the scale that one process with the whole batch would have.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch import distributed as dist

SMALLEST_LOG_B = 1e-6
"""Keeps the scale positive when hardly anything looks like another class; the next step recovers from it."""

Rule = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(cosines, labels, previous scale) -> scale, each a tensor; without gradient."""


@torch.no_grad()
def of_all_processes(rows: Tensor) -> Tensor:
    """The rows of all processes that train together, by rank; the rows themselves where one trains alone.

    Every process has to call this equally often.

    Args:
        rows: (n, ...); n may differ between processes.

    Returns:
        (n of all, ...), the same on every process.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    own = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, own)
    lengths = [int(count) for count in counts]
    padded = rows.new_zeros((max(lengths), *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in lengths]
    dist.all_gather(parts, padded)
    return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])


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
            next_value = self.rule(cosines, labels, self.value)
            self.value.copy_(torch.where(self.has_started, next_value, self.value))  # a branch would wait for the GPU
            self.has_started.fill_(True)
        return self.value.clone()
