"""The network of a run's last checkpoint, whether the run came to its end or not."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from edged.errors import UsageError

LAST_CHECKPOINT = "last.ckpt"


def load_network(network: nn.Module, run_directory: Path) -> int:
    """Fill a network with the weights of a run's last checkpoint.

    Returns:
        the number of epochs that were done.

    Raises:
        UsageError: no checkpoint, or one of another network.
    """
    path = run_directory / LAST_CHECKPOINT
    if not path.is_file():
        raise UsageError(f"{run_directory}: holds no {LAST_CHECKPOINT}", fix="name the run directory of a training run")
    state = torch.load(path, map_location="cpu", weights_only=True)
    weights = {k.removeprefix("network."): v for k, v in state["state_dict"].items() if k.startswith("network.")}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(f"{path}: not a checkpoint of this recipe's network", fix="name its --recipe") from error
    return int(state["epoch"]) + 1
