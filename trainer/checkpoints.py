"""Checkpoints: the last one and the one before it, each whole, in a run's directory."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import CheckpointIO
from torch import Tensor, nn

from edged.errors import EdgedError, UsageError
from trainer.files import write_whole

LAST_CHECKPOINT = "last.ckpt"
PREVIOUS_CHECKPOINT = "previous.ckpt"
NEWEST_FIRST = (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT)

OF_EVERY_RUN = {"state_dict", "global_step", "loops"}

AVERAGED_NETWORK = "averaged_network"
"""Key of the averaged weights, where a run keeps them."""


class CheckpointError(EdgedError):
    """A checkpoint is damaged or of another kind: go on from another one, or train again."""


class WholeCheckpoints(CheckpointIO):
    """Writes checkpoints whole and keeps the one before; reads numbers only, never code."""

    def save_checkpoint(self, checkpoint: Mapping[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write beside and rename.

        Raises:
            StorageError: the disk is full or refuses; the older checkpoint is as it was.
        """
        del storage_options
        buffer, place = io.BytesIO(), Path(path)
        torch.save(dict(checkpoint), buffer)
        write_whole(place, buffer.getbuffer(), keep=place.with_name(PREVIOUS_CHECKPOINT))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """See `read_checkpoint`; also the bare weights that Lightning brings back from processes it has forked."""
        del map_location, weights_only
        state: dict[str, Any] = _numbers(Path(path))
        return state

    def remove_checkpoint(self, path: Any) -> None:
        """Remove one that may not be there."""
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, on the CPU.

    Raises:
        CheckpointError: damaged, of no run, or it holds more than numbers and text.
    """
    state = _numbers(path)
    if not isinstance(state, dict) or not state.keys() >= OF_EVERY_RUN:
        raise CheckpointError(f"{path}: not the checkpoint of a run", fix="train without --resume")
    return state


def _numbers(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: not a readable checkpoint", fix="train without --resume") from error


def latest_checkpoint(run_directory: Path) -> Path | None:
    """The newest whole checkpoint of a run; None before its first.

    Warns when the newest is damaged and the one before it has to do.

    Raises:
        CheckpointError: there are checkpoints, all damaged.
    """
    found = [path for name in NEWEST_FIRST if (path := run_directory / name).is_file()]
    usable = next((path for path in found if _is_whole(path)), None)
    if found and usable is None:
        raise CheckpointError(f"{run_directory}: all checkpoints are damaged", fix="train without --resume")
    if usable is not None and usable != found[0]:
        warnings.warn(f"{found[0]} is damaged: going on from {usable.name}", stacklevel=2)
    return usable


def _is_whole(path: Path) -> bool:
    """Whether every record has its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def forget_checkpoints(run_directory: Path) -> None:
    """Remove those of an earlier run, which a new run must not fall back on."""
    for name in NEWEST_FIRST:
        (run_directory / name).unlink(missing_ok=True)


def epochs_done(checkpoint: Mapping[str, Any]) -> int:
    """Whole epochs behind a checkpoint."""
    return int(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])


def load_network(network: nn.Module, run_directory: Path) -> int:
    """Fill a network with the weights of a run's last checkpoint, the averaged ones where the run kept them.

    Returns:
        the number of epochs that were done.

    Raises:
        UsageError: no checkpoint, or one of another network.
        CheckpointError: damaged.
    """
    path = latest_checkpoint(run_directory)
    if path is None:
        raise UsageError(f"{run_directory}: holds no {LAST_CHECKPOINT}", fix="name the run directory of a training run")
    state = read_checkpoint(path)
    try:
        network.load_state_dict(_network_weights(state))
    except RuntimeError as error:
        raise UsageError(f"{path}: not a checkpoint of this recipe's network", fix="name its --recipe") from error
    return epochs_done(state)


def _network_weights(state: Mapping[str, Any]) -> dict[str, Tensor]:
    if AVERAGED_NETWORK in state:
        return dict(state[AVERAGED_NETWORK])
    return {k.removeprefix("network."): v for k, v in state["state_dict"].items() if k.startswith("network.")}
