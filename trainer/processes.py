"""Several processes that train together: started by torchrun on one or more machines, or by Lightning on this one."""

from __future__ import annotations

import inspect
import os
from typing import Any, Literal

import torch
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.utilities import rank_zero_only
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

START_METHODS: dict[str, Literal["popen", "spawn", "fork"]] = {
    "auto": "popen",
    "ddp": "popen",
    "ddp_spawn": "spawn",
    "ddp_fork": "fork",
}

_PARAMETERS = inspect.signature(DistributedDataParallel).parameters
_NO_SYNC: dict[str, Any] = {
    "forward_sync_buffers" if "forward_sync_buffers" in _PARAMETERS else "broadcast_buffers": False
}
"""The older name brings a warning from the torch that knows the newer one."""


def counted_processes(devices: int, num_nodes: int) -> tuple[int, int]:
    """Processes per machine and machines: as asked for, or as torchrun has started them."""
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        return devices, num_nodes
    local, world = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    return local, world // local


def strategy_of(name: str, n_processes: int) -> Strategy | str:
    """Lightning's strategy.

    Buffers are not sent round before every step: the scales are equal on all processes by themselves, the statistics
    of batch normalisation are saved from the first, and the bank of noises is large.
    """
    if n_processes == 1 or name not in START_METHODS:
        return name if n_processes > 1 else "auto"
    return DDPStrategy(start_method=START_METHODS[name], **_NO_SYNC)


def trains_on_gpu(accelerator: str) -> bool:
    """Whether a run with this setting of Lightning's uses CUDA."""
    return accelerator in {"auto", "gpu", "cuda"} and torch.cuda.is_available()


def is_first_process() -> bool:
    """Whether this process is the one that writes files: the first of those that train together, or the only one."""
    return int(getattr(rank_zero_only, "rank", 0) or 0) == 0


def is_first_on_machine() -> bool:
    """The same among the processes of this machine."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def leave_rest_to_first_process() -> None:
    """End this process, successfully, unless it is the first: one export is enough.

    Raises:
        SystemExit: in every other process.
    """
    if not is_first_process():
        raise SystemExit(0)
