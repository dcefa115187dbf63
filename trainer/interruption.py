"""When a run is saved, and how it ends early: at the end of a step, with a checkpoint to go on from."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as pl
from lightning.pytorch.callbacks import Checkpoint

from edged.errors import EdgedError

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingStopped(EdgedError):  # noqa: N818 - it went as asked
    """A run was asked to end and can be resumed: call the same command with --resume."""

    def __init__(self, run_directory: Path, signal_number: int) -> None:
        fix = "the same command with --resume goes on from there"
        super().__init__(f"{run_directory}: stopped and saved", fix=fix)
        self.exit_code = 128 + signal_number


@contextmanager
def part_of_many() -> Iterator[None]:
    """Around one training of a table of many, which has no `--resume`: if stopped, its command begins it again."""
    try:
        yield
    except TrainingStopped as stopped:
        stopped.fix = "the same command begins this training again"
        raise


@dataclass
class StopRequest:
    """Which signal asked the run to end; 0 while none did."""

    signal_number: int = 0


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Notes SIGINT and SIGTERM instead of acting on them; the second one acts as if nobody listened.

    Outside the main thread, which alone may listen, nothing is ever noted, nor what the process was told to ignore.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        request.signal_number = number
        for other in listened:
            signal.signal(other, signal.default_int_handler)

    listened = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in listened}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class RegularCheckpoints(Checkpoint):
    """Saves at every epoch's end, every so often between, and when the run is asked to end.

    Args:
        path: of the checkpoint.
        every_s: seconds between checkpoints; 0 for none between the epochs' ends.
        every_steps: steps between checkpoints, likewise.
        request: who asks.
    """

    def __init__(self, path: Path, every_s: float, every_steps: int, request: StopRequest) -> None:
        self._path, self._every_s, self._every_steps, self._request = path, every_s, every_steps, request
        self._saved_at_s = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End between two epochs: the last checkpoint is of this moment."""
        del pl_module
        if _any_process(trainer, self._request.signal_number > 0):
            raise TrainingStopped(self._path.parent, self._signal_number)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Save when it is time; save and end when asked. An epoch's last batch leaves both to the epoch's end."""
        del args
        if trainer.is_last_batch:
            return
        ends = _any_process(trainer, self._request.signal_number > 0)
        if ends or _any_process(trainer, self._is_due(trainer.global_step)):
            self._save(trainer)
        if ends:
            raise TrainingStopped(self._path.parent, self._signal_number)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save."""
        del pl_module
        self._save(trainer)

    @property
    def _signal_number(self) -> int:
        """The own signal, or that of a process beside this one."""
        return self._request.signal_number or signal.SIGTERM

    def _is_due(self, step: int) -> bool:
        by_steps = self._every_steps > 0 and step % self._every_steps == 0
        return by_steps or 0.0 < self._every_s <= time.monotonic() - self._saved_at_s

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._path, weights_only=False)
        self._saved_at_s = time.monotonic()


def _any_process(trainer: pl.Trainer, decision: bool) -> bool:
    """Whether any process decides so: all save and end at the same step, or they would wait for each other."""
    if trainer.world_size == 1:
        return decision
    return bool(trainer.strategy.reduce_boolean_decision(decision, all=False))
