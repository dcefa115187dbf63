"""How fast a run is and what holds it up: the loader, the front end on the training device, or the network.

    | fetch: loader | augmentation, features: front end | forward, loss, backward, step: network |

On a GPU the two last are measured by the device's own clock, since the process runs ahead of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import lightning as pl
import torch
import typer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.profilers import Profiler
from torch import Tensor
from torch.utils.hooks import RemovableHandle

LOADER, FRONT_END, NETWORK = "loader", "front end on the training device", "network"
COLUMNS = {LOADER: "loader_share", FRONT_END: "front_end_share", NETWORK: "network_share"}

FETCH = "train_dataloader_next"
"""How Lightning calls the time in which it waits for a batch, with the name of its loop in front."""

PENDING_STEPS = 100
UTILISATION_EVERY_S = 1.0


class FetchTimer(Profiler):
    """Adds up the time in which training waits for batches."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0
        self._since_s = 0.0

    def start(self, action_name: str) -> None:
        """A part of the loop begins."""
        if action_name.endswith(FETCH):
            self._since_s = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """It ends."""
        if action_name.endswith(FETCH):
            self.waited_s += time.perf_counter() - self._since_s

    def summary(self) -> str:
        """Nothing: `Throughput` says it."""
        return ""


class Clock(Protocol):
    """Marks moments and says later how far apart they were."""

    def mark(self) -> Any:
        """This moment."""

    def seconds(self, start: Any, end: Any) -> float:
        """Between two marks."""


class HostClock:
    """Of a device that has done what it was told when the call returns."""

    def mark(self) -> float:
        """This moment."""
        return time.perf_counter()

    def seconds(self, start: float, end: float) -> float:
        """Between two marks."""
        return end - start


class CudaClock:
    """Of a device that works through a queue; `seconds` waits until it has come to the later mark."""

    def mark(self) -> torch.cuda.Event:
        """The place in the queue."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def seconds(self, start: torch.cuda.Event, end: torch.cuda.Event) -> float:
        """Between two marks."""
        end.synchronize()
        return float(start.elapsed_time(end)) / 1000.0


@dataclass
class EpochTimes:
    """What an epoch's time was spent on, in seconds."""

    n_samples: int = 0
    front_end_s: float = 0.0
    network_s: float = 0.0
    utilisations: list[float] = field(default_factory=list)


def shares(times: EpochTimes, waited_s: float, epoch_s: float) -> dict[str, float]:
    """Share of each part in an epoch.

    >>> shares(EpochTimes(10, 2.0, 5.0), waited_s=1.0, epoch_s=10.0)
    {'loader': 0.1, 'front end on the training device': 0.2, 'network': 0.5}
    """
    parts = {LOADER: waited_s, FRONT_END: times.front_end_s, NETWORK: times.network_s}
    return {name: seconds / max(epoch_s, 1e-9) for name, seconds in parts.items()}


def gpu_utilisation(device: torch.device) -> float | None:
    """Percent of the last moments in which a GPU worked; None where it cannot be read."""
    if device.type != "cuda":
        return None
    try:
        from pynvml import NVMLError  # type: ignore[import-not-found]
    except ImportError:
        return None
    try:
        return float(torch.cuda.utilization(device))
    except (NVMLError, RuntimeError):
        return None


class Throughput(Callback):
    """Logs an epoch's throughput and says in a line what held it up.

    Args:
        fetches: the profiler of the same trainer.
        tells: whether the line is said; the figures are logged in any case.
    """

    def __init__(self, fetches: FetchTimer, *, tells: bool = True) -> None:
        self._fetches, self._tells = fetches, tells
        self._clock: Clock = HostClock()
        self._pending: list[tuple[Any, Any, Any]] = []
        self._hooks: list[RemovableHandle] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Choose the clock, and notice when the network is called, or one of its parts by itself."""
        del trainer
        self._clock = CudaClock() if pl_module.device.type == "cuda" else HostClock()
        self._hooks = [part.register_forward_pre_hook(self._on_network) for part in pl_module.network.modules()]
        self._begin()

    def teardown(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Leave the network as it was."""
        del trainer, pl_module, stage
        for hook in self._hooks:
            hook.remove()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Begin anew."""
        del trainer, pl_module
        self._begin()

    def on_train_batch_start(self, *args: Any) -> None:
        """A batch is on the device."""
        del args
        self._started, self._network_started = self._clock.mark(), None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Mapping[str, Tensor], *args: Any
    ) -> None:
        """A step is done, or all of it in the device's queue."""
        del outputs, args
        self._times.n_samples += len(next(iter(batch.values()))) * trainer.world_size
        self._pending.append((self._started, self._network_started or self._started, self._clock.mark()))
        if len(self._pending) >= PENDING_STEPS:
            self._settle()
        if time.perf_counter() >= self._look_at_s:
            self._look(pl_module.device)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Log and say."""
        self._settle()
        self._look(pl_module.device)
        epoch_s = time.perf_counter() - self._began_s
        figures = {"samples_per_s": self._times.n_samples / max(epoch_s, 1e-9), "epoch_s": epoch_s}
        parts = shares(self._times, self._fetches.waited_s - self._waited_before_s, epoch_s)
        figures |= {COLUMNS[name]: share for name, share in parts.items()}
        if self._times.utilisations:
            figures["gpu_utilisation"] = sum(self._times.utilisations) / len(self._times.utilisations)
        for name, value in figures.items():
            pl_module.log(f"throughput/{name}", value, sync_dist=trainer.world_size > 1)
        if trainer.is_global_zero and self._tells:
            typer.echo(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {summary(figures, parts)}", err=True)

    def _begin(self) -> None:
        self._times, self._began_s = EpochTimes(), time.perf_counter()
        self._look_at_s = self._began_s + UTILISATION_EVERY_S
        self._waited_before_s = self._fetches.waited_s

    def _on_network(self, *args: Any) -> None:
        del args
        if self._network_started is None:
            self._network_started = self._clock.mark()

    def _settle(self) -> None:
        for start, network, end in self._pending:
            self._times.front_end_s += self._clock.seconds(start, network)
            self._times.network_s += self._clock.seconds(network, end)
        self._pending.clear()

    def _look(self, device: torch.device) -> None:
        utilisation = gpu_utilisation(device)
        if utilisation is not None:
            self._times.utilisations.append(utilisation)
        self._look_at_s = time.perf_counter() + UTILISATION_EVERY_S


def summary(figures: Mapping[str, float], parts: Mapping[str, float]) -> str:
    """An epoch in a line.

    >>> summary({"epoch_s": 2.0, "samples_per_s": 50.0}, {"loader": 0.1, "network": 0.8})
    '2.0 s, 50 samples/s; loader 10 %, network 80 % (bottleneck: network); GPU use not available'
    """
    listed = ", ".join(f"{name} {100 * share:.0f} %" for name, share in parts.items())
    used = f"{figures['gpu_utilisation']:.0f} %" if "gpu_utilisation" in figures else "not available"
    speed = f"{figures['epoch_s']:.1f} s, {figures['samples_per_s']:.0f} samples/s"
    return f"{speed}; {listed} (bottleneck: {max(parts, key=parts.__getitem__)}); GPU use {used}"
