"""The training loop: one Lightning module that knows no model by name, and the settings every run shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as pl
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class TrainingSettings:
    """What a run needs besides data, network and objective.

    Attributes:
        run_directory: checkpoints, metrics.csv and the settings go here.
        max_epochs: passes over the data.
        learning_rate: Adam's step size at its peak.
        warmup_fraction: share of the steps in which the step size rises linearly; it then falls as a cosine to 0.
            0 with `constant_rate` keeps the thesis's fixed rate.
        seed: of weights, sampling and augmentation.
        accelerator: Lightning's: ``auto``, ``cpu``, ``gpu``.
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

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:  # noqa: ARG002 - Lightning's signature
        """One step; every named loss is logged."""
        losses: Mapping[str, Tensor] = self.objective(self.network, batch)
        for name, value in losses.items():
            self.log(f"train/{name}", value.detach(), prog_bar=name == "loss", on_step=False, on_epoch=True)
        return losses["loss"]

    def configure_optimizers(self) -> Any:
        """Adam, with linear warm-up and cosine decay unless a constant rate is asked for."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        rate, decay = self.settings.learning_rate, self.settings.weight_decay
        if self.settings.constant_rate:
            return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)
        optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=rate,
            total_steps=max(2, int(self.trainer.estimated_stepping_batches)),
            pct_start=max(self.settings.warmup_fraction, 1e-3),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def fit(
    network: nn.Module,
    objective: nn.Module,
    loader: DataLoader[Any],
    settings: TrainingSettings,
    *,
    callbacks: tuple[Callback, ...] = (),
    resume_from: Path | None = None,
) -> EmbeddingTraining:
    """Train and leave ``last.ckpt`` and ``metrics.csv`` in the run directory; returns the module in eval mode."""
    pl.seed_everything(settings.seed, workers=True, verbose=False)
    module = EmbeddingTraining(network, objective, settings)
    trainer = pl.Trainer(
        default_root_dir=settings.run_directory,
        max_epochs=settings.max_epochs,
        accelerator=settings.accelerator,
        devices=1,
        precision=settings.precision,  # type: ignore[arg-type]
        gradient_clip_val=settings.gradient_clip_norm or None,
        logger=CSVLogger(settings.run_directory, name="", version=""),
        callbacks=[*_default_callbacks(settings), *callbacks],
        enable_progress_bar=settings.progress,
        enable_model_summary=False,
        log_every_n_steps=10,
    )
    trainer.fit(module, loader, ckpt_path=str(resume_from) if resume_from else None)
    return module.eval()


def _default_callbacks(settings: TrainingSettings) -> list[Callback]:
    checkpoint = ModelCheckpoint(settings.run_directory, filename="last", save_top_k=1, enable_version_counter=False)
    return [checkpoint, TQDMProgressBar()] if settings.progress else [checkpoint]
