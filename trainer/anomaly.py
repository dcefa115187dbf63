"""Trains an anomaly embedder and writes it as a bundle.

recordings and synthetic machines -> corpus -> objective (noise, mixup, features, loss) -> network -> bundle
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as pl
import torch
from torch import nn

from edged.embed.bundle import Bundle, RepresentationSpec
from edged.errors import ConfigError
from edged.features.anomaly import AnomalySpec
from trainer.anomaly_bundle import embedding_representation, statistics_representations, write_anomaly_bundle
from trainer.anomaly_corpus import Sources, build_corpus
from trainer.anomaly_recipe import UNTRAINED, AnomalyRecipe
from trainer.anomaly_systems import build_network, build_objective, fit_standardisation, network_spec
from trainer.checkpoints import load_network
from trainer.data.corpus import Corpus, noise_bank
from trainer.processes import is_first_process
from trainer.run_directory import RunDirectory
from trainer.training import TrainingSettings, fit, training_loader


@dataclass(frozen=True)
class AnomalyTrainingOptions:
    """What `edged-train anomaly` was asked for.

    Attributes:
        out: directory of the bundle.
        sources: recordings and noises.
        recipe: see `trainer.anomaly_recipe`.
        run_directory: checkpoints, metrics and the corpus.
        seed: of weights, sampling and augmentation.
        resume: go on from the last checkpoint.
        card: text of the bundle's card.
        precision: Lightning's, ``16-mixed`` or ``bf16-mixed`` for GPUs that like it.
        devices: processes that train together on this machine; `num_nodes` machines in all.
    """

    out: Path
    recipe: AnomalyRecipe
    run_directory: Path
    sources: Sources = field(default_factory=Sources)
    seed: int = 0
    resume: bool = False
    version: str = "1.0.0"
    card: str = ""
    accelerator: str = "auto"
    precision: str = "32-true"
    devices: int = 1
    num_nodes: int = 1
    progress: bool = True


def train_anomaly(options: AnomalyTrainingOptions) -> Bundle | None:
    """Train and write the bundle; of several processes that train together only the first has it.

    Raises:
        UsageError: neither recordings nor synthetic machines to learn from, or a run directory that is taken.
        AudioError: recordings that cannot be used.
        ConfigError: a recipe without anything to train, or too few classes for its loss.
        BundleError: the exported network differs from the trained one.
    """
    recipe = options.recipe
    if recipe.network in (*UNTRAINED, "autoencoder"):
        raise ConfigError(
            f"network {recipe.network} makes no embedder", fix="compare it with `edged-train reproduce 9`"
        )
    options.sources.require_any(recipe)
    pl.seed_everything(options.seed, workers=True, verbose=False)
    run = RunDirectory.open(options.run_directory, _config(options), resume=options.resume)
    noises = options.sources.noises()
    corpus = build_corpus(options.sources, recipe, noises, run.path)
    network = _laid_out(build_network(recipe), torch.channels_last)  # a quarter faster on a CPU
    fit_standardisation(network, recipe, corpus)
    bank = noise_bank(noises, network_spec(recipe).segment_samples)
    objective = build_objective(recipe, network, len(corpus.names), bank)
    loader = training_loader(
        corpus, recipe.batch_size, options.seed, balanced=recipe.balanced, accelerator=options.accelerator
    )
    fit(network, objective, loader, _settings(options), resume_from=run.checkpoint(resume=options.resume))
    if not is_first_process():
        return None
    training = _summary(options, corpus)
    return _write(options.out, recipe, network, training, version=options.version, card=options.card)


def export_run(
    run_directory: Path, out: Path, recipe: AnomalyRecipe, *, version: str = "1.0.0", card: str = ""
) -> Bundle:
    """Write the bundle of a run's last checkpoint, whether the run came to its end or not.

    Raises:
        UsageError: no checkpoint, or one of another recipe's network.
    """
    network = build_network(recipe)
    epochs_done = load_network(network, run_directory)
    training = {"recipe": recipe.model_dump(mode="json"), "epochs_done": epochs_done}
    return _write(out, recipe, network, training, version=version, card=card)


def _write(
    out: Path, recipe: AnomalyRecipe, network: nn.Module, training: Mapping[str, Any], *, version: str, card: str
) -> Bundle:
    spec = network_spec(recipe)
    return write_anomaly_bundle(
        out,
        spec,
        representations(spec, recipe, int(network.dim)),  # type: ignore[arg-type]
        version=version,
        network=_laid_out(network.cpu(), torch.contiguous_format),
        training=training,
        card=card,
    )


def _laid_out(network: nn.Module, memory_format: torch.memory_format) -> nn.Module:
    """The same weights, in another order in memory."""
    return network.to(memory_format=memory_format)  # type: ignore[call-overload,no-any-return]


def representations(spec: AnomalySpec, recipe: AnomalyRecipe, dim: int) -> tuple[RepresentationSpec, ...]:
    """Input statistics and the embedding, with the recipe's weights."""
    statistics = (
        r.model_copy(update={"weight": r.weight * recipe.statistics_weight}) for r in statistics_representations(spec)
    )
    return (*statistics, embedding_representation(dim, recipe.embedding_weight, recipe.embedding_backend))


def _settings(options: AnomalyTrainingOptions) -> TrainingSettings:
    return TrainingSettings(
        run_directory=options.run_directory,
        max_epochs=options.recipe.max_epochs,
        learning_rate=options.recipe.learning_rate,
        constant_rate=options.recipe.constant_rate,
        ema_decay=options.recipe.ema_decay,
        seed=options.seed,
        accelerator=options.accelerator,
        precision=options.precision,
        devices=options.devices,
        num_nodes=options.num_nodes,
        progress=options.progress,
    )


def _config(options: AnomalyTrainingOptions) -> dict[str, Any]:
    """What results depend on."""
    data, noise = (str(path.resolve()) if path else None for path in (options.sources.data, options.sources.noise))
    sources = {"data": data, "noise": noise, "exclude": list(options.sources.exclude)}
    return {"recipe": options.recipe.model_dump(mode="json"), "seed": options.seed, **sources}


def _summary(options: AnomalyTrainingOptions, corpus: Corpus) -> dict[str, Any]:
    return {
        "recipe": options.recipe.model_dump(mode="json"),
        "seed": options.seed,
        "classes": len(corpus.names),
        "segments": len(corpus.classes),
    }
