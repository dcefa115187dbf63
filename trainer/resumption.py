"""What a resumed run needs besides weights and optimiser: the next batch, and the random numbers of the next step."""

from __future__ import annotations

import random
from typing import Any

import lightning as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from edged.errors import ConfigError
from trainer.data.sampler import ResumableLoader
from trainer.losses.running_scale import of_all_processes

LOADER = "loader"


class LoaderPlace(Callback):
    """Keeps the loader's place in the checkpoint."""

    def __init__(self, loader: ResumableLoader) -> None:
        self._loader = loader

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Note the batch that comes next."""
        del trainer, pl_module
        checkpoint[LOADER] = self._loader.state_dict()

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Go on with it."""
        del trainer, pl_module
        if LOADER in checkpoint:
            self._loader.load_state_dict(checkpoint[LOADER])


class SameStart(Callback):
    """Refuses a run whose processes would begin at different steps: their collectives would never meet.

    Only the first process writes checkpoints, so a machine that does not see its run directory has none.

    Args:
        step: that this process goes on from; 0 is the beginning.
    """

    def __init__(self, step: int) -> None:
        self._step = step

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Compare, as soon as the processes have met.

        Raises:
            ConfigError: in every process.
        """
        del pl_module, stage
        steps = of_all_processes(torch.tensor([self._step], device=trainer.strategy.root_device)).tolist()
        if len(set(steps)) > 1:
            fix = "let every machine see the same run directory"
            raise ConfigError(f"the processes would go on from different steps: {steps}", fix=fix)


class StepSeeds(Callback):
    """Seeds every generator before each step from the run's seed, the step and the process.

    So the state of the generators (torch on every device, numpy, Python) need not be saved: it follows from what is,
    on any number of processes, each of which draws numbers of its own.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """Seed."""
        del args
        seed_generators(self._seed, trainer.global_step, trainer.global_rank)


def seed_generators(*key: int) -> None:
    """Seed torch on every device, numpy and Python from some numbers.

    >>> seed_generators(1, 2); first = torch.rand(1); seed_generators(1, 2); bool(first == torch.rand(1))
    True
    """
    words = np.random.SeedSequence(key).generate_state(4)
    torch.manual_seed(int(words[0]) << 32 | int(words[1]))
    np.random.seed(int(words[2]))  # noqa: NPY002 - the generator that libraries draw from
    random.seed(int(words[3]))
