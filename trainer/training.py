"""The training loop: one Lightning module that knows no model by name, and the settings every run shares."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as pl
import torch
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from torch import Tensor, nn
from torch.utils.data import DataLoader

from edged.errors import ConfigError
from trainer.averaging import WeightAverage
from trainer.checkpoints import LAST_CHECKPOINT, WholeCheckpoints, forget_checkpoints, read_checkpoint
from trainer.data.balance import class_weights
from trainer.data.corpus import Corpus, CorpusDataset
from trainer.data.sampler import ResumableLoader, Workers, workers_for
from trainer.interruption import RegularCheckpoints, StopRequest, TrainingStopped, stop_requests
from trainer.metrics_file import METRICS, MetricsFile
from trainer.processes import counted_processes, is_first_process, strategy_of, trains_on_gpu
from trainer.resumption import LoaderPlace, SameStart, StepSeeds
from trainer.running_means import RunningMeans
from trainer.throughput import FetchTimer, Throughput

Batch = Mapping[str, Tensor]
Loader = DataLoader[Any] | ResumableLoader

RUNNING_MEANS = "running_means"


class DivergedError(ConfigError):
    """Training left the range of numbers: take a lower learning rate, or mixup, and train anew."""


@dataclass(frozen=True)
class TrainingSettings:
    """What a run needs besides data, network and objective.

    Attributes:
        run_directory: checkpoints, metrics.csv and the settings go here.
        max_epochs: passes over the data.
        learning_rate: Adam's step size at its peak.
        warmup_fraction: share of the steps in which the step size rises, as half a cosine from a 25th of its peak; it
            then falls likewise to almost 0. Meanwhile Adam's first momentum goes from 0.95 to 0.85 and back (1cycle).
        constant_rate: the thesis's fixed rate instead of all that.
        seed: of weights, sampling and augmentation.
        accelerator: Lightning's: ``auto``, ``cpu``, ``gpu``.
        precision: Lightning's: ``32-true``, ``16-mixed``, ``bf16-mixed``; losses stay in float32.
        ema_decay: of the moving average of the weights that is exported in their place; 0 exports the weights.
        checkpoint_every_s: seconds between checkpoints within an epoch; 0 for none.
        checkpoint_every_steps: steps between them, likewise; an epoch's end always leaves one.
        strategy: Lightning's for several processes; ``auto`` is ``ddp``.
        devices: processes on this machine, one per GPU; under torchrun it counts them itself.
        num_nodes: machines, each started with the same command.
        tells_epochs: whether every epoch says its throughput; comparisons that train many networks do not.
    """

    run_directory: Path
    max_epochs: int = 10
    learning_rate: float = 1e-3
    warmup_fraction: float = 0.1
    constant_rate: bool = False
    weight_decay: float = 0.0
    gradient_clip_norm: float = 0.0
    seed: int = 0
    accelerator: str = "auto"
    precision: str = "32-true"
    progress: bool = True
    ema_decay: float = 0.0
    checkpoint_every_s: float = 60.0
    checkpoint_every_steps: int = 0
    strategy: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    tells_epochs: bool = True


class EmbeddingTraining(pl.LightningModule):
    """Trains ``objective(network, batch)``.

    Args:
        network: the embedder.
        objective: module called with (network, batch), returning named scalar losses; ``loss`` is minimised. Keeping
            mixup and other augmentation in the objective leaves the loop the same for every system.
    """

    def __init__(self, network: nn.Module, objective: nn.Module, settings: TrainingSettings) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.settings = settings
        self._means = RunningMeans()

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:  # noqa: ARG002 - Lightning's signature
        """One step; the epoch's mean of every named loss is logged."""
        losses: Mapping[str, Tensor] = self.objective(self.network, batch)
        self._means.add(losses)
        self.log("loss", losses["loss"].detach(), prog_bar=True, logger=False)
        return losses["loss"]

    def on_train_epoch_end(self) -> None:
        """Log the means and begin anew.

        Raises:
            DivergedError: weights that are not finite; no further epoch mends them.
        """
        if not all(bool(torch.isfinite(p).all()) for p in self.parameters()):
            where = f"{self.settings.run_directory}: diverged in epoch {self.current_epoch + 1}"
            raise DivergedError(f"{where}: weights are not finite", fix="lower learning_rate, or use mixup")
        for name, value in self._means.values().items():
            self.log(f"train/{name}", value, sync_dist=self.trainer.world_size > 1)
        self._means = RunningMeans()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the means of an epoch that is not over, of all processes."""
        sums = {n: self.trainer.strategy.reduce(v, reduce_op="mean") for n, v in self._means.sums.items()}
        checkpoint[RUNNING_MEANS] = RunningMeans(sums, self._means.n).state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with them."""
        if RUNNING_MEANS in checkpoint:
            self._means = RunningMeans.from_state(checkpoint[RUNNING_MEANS])

    def configure_optimizers(self) -> Any:
        """Adam, with warm-up and decay by cosines (1cycle) unless a constant rate is asked for."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        rate, decay = self.settings.learning_rate, self.settings.weight_decay
        if self.settings.constant_rate:
            return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)
        optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
        total_steps = max(2, int(self.trainer.estimated_stepping_batches))
        warmup = max(self.settings.warmup_fraction, 1.5 / total_steps)  # OneCycleLR divides by its steps less one
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=total_steps, pct_start=warmup)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def fit(
    network: nn.Module,
    objective: nn.Module,
    loader: Loader,
    settings: TrainingSettings,
    *,
    callbacks: tuple[Callback, ...] = (),
    resume_from: Path | None = None,
) -> EmbeddingTraining:
    """Train and leave ``last.ckpt`` and ``metrics.csv`` in the run directory; returns the module in eval mode.

    With a `ResumableLoader` a run that is resumed ends with the weights it would have had without the pause.

    Args:
        resume_from: checkpoint of the same run; see `trainer.checkpoints.latest_checkpoint`. A run that had come to its
            end is not trained further.

    Raises:
        TrainingStopped: on SIGINT or SIGTERM, after the step and a checkpoint.
        DivergedError: weights that are not finite at an epoch's end.
        ConfigError: processes that would go on from different steps.
        StorageError: the run directory cannot be written.
        CheckpointError: `resume_from` cannot be read.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # its hints are not for our users
    warnings.filterwarnings("ignore", message=r".*LeafSpec.* is deprecated")  # nor is what torch tells Lightning
    pl.seed_everything(settings.seed, workers=True, verbose=False)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # convolutions are faster so
    module = EmbeddingTraining(network, objective, settings).train()  # Lightning keeps what it finds
    average = WeightAverage(settings.ema_decay) if settings.ema_decay else None
    if resume_from is None and is_first_process():
        forget_checkpoints(settings.run_directory)
    with stop_requests() as request:
        own = _own_callbacks(loader, settings, request, average)
        _run(_trainer(settings, [*own, *callbacks], resume_from), module, loader, resume_from, request)
    if average is not None:
        network.load_state_dict(average.average)
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return module.eval()


def training_loader(
    corpus: Corpus,
    batch_size: int,
    seed: int,
    *,
    balanced: bool = False,
    accelerator: str = "auto",
    workers: int | None = None,
) -> ResumableLoader:
    """The loader of a corpus: shuffled anew in every epoch, and able to go on from any batch.

    Args:
        batch_size: of all processes together.
        balanced: draw rare classes more often, see `trainer.data.balance`.
        accelerator: as in the settings; a GPU gets workers that read ahead.
        workers: so many, whatever the accelerator.

    Raises:
        ConfigError: fewer segments than a batch holds.
    """
    chosen = workers_for(on_gpu=trains_on_gpu(accelerator))
    if workers is not None:
        chosen = Workers(workers, chosen.pinned)
    weights = class_weights(corpus.classes) if balanced else None
    return ResumableLoader(CorpusDataset(corpus, seed), batch_size, seed, workers=chosen, weights=weights)


def _own_callbacks(
    loader: Loader, settings: TrainingSettings, request: StopRequest, average: WeightAverage | None
) -> list[Callback]:
    path, every_s = settings.run_directory / LAST_CHECKPOINT, settings.checkpoint_every_s
    own: list[Callback] = [StepSeeds(settings.seed)]
    if settings.progress:
        own.append(TQDMProgressBar())
    if average is not None:
        own.append(average)
    if isinstance(loader, ResumableLoader):
        own.append(LoaderPlace(loader))
    return [*own, RegularCheckpoints(path, every_s, settings.checkpoint_every_steps, request)]


def _trainer(settings: TrainingSettings, callbacks: list[Callback], resume_from: Path | None) -> pl.Trainer:
    devices, num_nodes = counted_processes(settings.devices, settings.num_nodes)
    n_processes, fetches = devices * num_nodes, FetchTimer()
    steps_done = int(read_checkpoint(resume_from)["global_step"]) if resume_from else 0
    return pl.Trainer(
        default_root_dir=settings.run_directory,
        max_epochs=settings.max_epochs,
        accelerator=settings.accelerator,
        devices=devices,
        num_nodes=num_nodes,
        strategy=strategy_of(settings.strategy, n_processes),
        sync_batchnorm=n_processes > 1 and trains_on_gpu(settings.accelerator),
        precision=settings.precision,  # type: ignore[arg-type]
        gradient_clip_val=settings.gradient_clip_norm or None,
        plugins=[WholeCheckpoints()],
        logger=MetricsFile(settings.run_directory / METRICS, steps_done),
        callbacks=[SameStart(steps_done), Throughput(fetches, tells=settings.tells_epochs), *callbacks],
        profiler=fetches,
        enable_progress_bar=settings.progress,
        enable_model_summary=False,
        log_every_n_steps=1,
    )


def _run(
    trainer: pl.Trainer,
    module: EmbeddingTraining,
    loader: Loader,
    resume_from: Path | None,
    request: StopRequest,
) -> None:
    """Train, and tell what Lightning makes of signals (it leaves with code 1, or goes on as if all were done)."""
    try:
        trainer.fit(module, loader, ckpt_path=str(resume_from) if resume_from else None)
    except SystemExit:
        if not trainer.interrupted:
            raise
    if request.signal_number or trainer.interrupted:
        raise TrainingStopped(module.settings.run_directory, request.signal_number or signal.SIGINT)
