"""An exponential moving average of a network's weights: it follows the training, and what it leaves is less noisy."""

from __future__ import annotations

from typing import Any

import lightning as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from trainer.checkpoints import AVERAGED_NETWORK


class WeightAverage(Callback):
    """Keeps the average in the run and its checkpoints.

    The statistics of batch normalisation are averaged like the weights they belong to; counters are taken over.

    Args:
        decay: share of the old average in the new, in (0, 1); smaller in the first steps, see `decay_at`.
    """

    def __init__(self, decay: float) -> None:
        if not 0.0 < decay < 1.0:
            raise ValueError(f"a decay of {decay} is not between 0 and 1")
        self.decay = decay
        self.average: dict[str, Tensor] = {}

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Start from the network as it is."""
        del trainer, stage
        self.average = {name: value.detach().clone() for name, value in pl_module.network.state_dict().items()}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Follow the network to its device."""
        del trainer
        self.average = {name: value.to(pl_module.device) for name, value in self.average.items()}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        """Take in the weights of this step."""
        del args
        self._update(pl_module.network, decay_at(trainer.global_step, self.decay))

    @torch.no_grad()
    def _update(self, network: nn.Module, decay: float) -> None:
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1.0 - decay)
            else:
                self.average[name].copy_(value)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Save."""
        del trainer, pl_module
        checkpoint[AVERAGED_NETWORK] = self.average

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Go on from what was saved."""
        del trainer, pl_module
        self.average = dict(checkpoint[AVERAGED_NETWORK])


def decay_at(step: int, decay: float) -> float:
    """The decay after a step: low at first, so that the weights of the start are soon forgotten.

    >>> [round(decay_at(step, 0.99), 2) for step in (1, 10, 10_000)]
    [0.18, 0.55, 0.99]
    """
    return min(decay, (1 + step) / (10 + step))
