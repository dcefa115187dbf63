"""Trains a keyword embedder and writes it as a bundle.

general: synthetic sentences and recorded words -> shards -> network -> phone times of the recorded words -> more shards
         -> network -> bundle
distilled: see trainer/keyword_distil.py
site:    see trainer/keyword_site.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import lightning as pl
import numpy as np

from edged.embed.bundle import Bundle
from edged.errors import UsageError
from edged.features.keyword import KeywordSpec
from trainer.checkpoints import LAST_CHECKPOINT, load_network
from trainer.data.alignment import align_words
from trainer.data.speech_crops import diphone_classes, load_shards
from trainer.keyword_batches import CropDataset
from trainer.keyword_distil import STAGE as DISTILLED
from trainer.keyword_distil import train_distilled
from trainer.keyword_recipe import DistilledRecipe, GeneralRecipe, KeywordTrainingOptions, as_trained
from trainer.keyword_run import CorpusRun, noisy_material
from trainer.keyword_site import train_site
from trainer.losses.running_speech import RunningSpeechObjective
from trainer.models.speech_trunk import SpeechTrunk
from trainer.processes import counted_processes
from trainer.run_directory import RunDirectory
from trainer.warm_start import started_network

ALIGNED_SHARE = 0.66
STAGES = ("first", "second", "third")


def train_keyword(options: KeywordTrainingOptions) -> Bundle:
    """Train and write the bundle.

    Raises:
        UsageError: nothing to learn from, folders that the recipe has no use for, or a run directory that is taken.
        AudioError: recordings that cannot be used.
        BundleError: the exported network differs from the trained one.
        StorageError: the run directory cannot be written.
    """
    if counted_processes(1, 1) != (1, 1):
        raise UsageError("keyword networks are trained by one process", fix="start it without torchrun")
    options.require_used_sources()
    RunDirectory.open(options.run_directory, options.config(), resume=options.resume)
    pl.seed_everything(options.seed, workers=True, verbose=False)
    if isinstance(options.recipe, GeneralRecipe):
        return train_general(options, options.recipe)
    if isinstance(options.recipe, DistilledRecipe):
        return train_distilled(options, options.recipe)
    return train_site(options, options.recipe)


def train_general(options: KeywordTrainingOptions, recipe: GeneralRecipe) -> Bundle:
    """An embedder for words that come later."""
    material = noisy_material(options, recipe)
    run = GeneralRun(options, recipe, KeywordSpec(), SpeechTrunk(recipe.width))
    shards = run.corpus("corpus", recipe.shards, material)
    if options.start_from:
        frames = np.asarray(load_shards(shards[:1])[0]["frames"], dtype=np.float32)
        run = replace(run, network=started_network(options.start_from, run.spec, frames))
    objective = run.objective(shards, len(material.classes))
    run.stage("first", recipe.first_epochs, shards, objective)
    if recipe.aligned_shards and material.clips and material.engines:
        aligned = align_words(material.clips, run.network, objective.phone_loss, run.spec)
        richer = replace(material, clips=aligned, recorded_share=ALIGNED_SHARE)
        shards = [*shards, *run.corpus("aligned", recipe.aligned_shards, richer)]
    run.stage("second", recipe.max_epochs, shards, objective)
    if recipe.restart_epochs:
        run.stage("third", recipe.restart_epochs, shards, objective, rate_factor=0.5)
    return run.bundle(material)


def export_general(options: KeywordTrainingOptions) -> Bundle:
    """Write the bundle of a run for words that come later that was stopped before its end, from its last checkpoint.

    Raises:
        UsageError: no checkpoint, or one of another recipe's network; no speech for the background.
    """
    options = as_trained(options)
    recipe, spec = options.recipe, KeywordSpec()
    if isinstance(recipe, GeneralRecipe):
        network = SpeechTrunk(recipe.width)
    elif isinstance(recipe, DistilledRecipe) and options.start_from:
        network = started_network(options.start_from, spec, np.full((224, spec.n_mels), spec.silence, np.float32))
    else:
        raise UsageError("only runs of a general recipe can be exported", fix="train a site's own words again")
    stages = [options.run_directory / name for name in (DISTILLED, *reversed(STAGES))]
    load_network(network, next((s for s in stages if (s / LAST_CHECKPOINT).is_file()), options.run_directory))
    return CorpusRun(options, recipe, spec, network).bundle(noisy_material(options, recipe))


@dataclass(frozen=True)
class GeneralRun(CorpusRun):
    """One training of a general embedder."""

    recipe: GeneralRecipe

    def objective(self, shards: Sequence[Path], n_words: int) -> RunningSpeechObjective:
        """The loss, with the diphones of the corpus."""
        return RunningSpeechObjective(
            diphone_classes(load_shards(shards), self.recipe.diphones),
            max(1, n_words),
            (self.network.context_left, self.network.context_right),
            self.spec.silence,
            reversed_share=self.recipe.reversed_share,
        )

    def stage(
        self,
        name: str,
        epochs: int,
        shards: Sequence[Path],
        objective: RunningSpeechObjective,
        *,
        rate_factor: float = 1.0,
    ) -> None:
        """Train on shards."""
        key = (self.options.seed, STAGES.index(name))
        crops = CropDataset(load_shards(shards), self.recipe.crop_frames, self.n_crops, key)
        self.fit(name, epochs, crops, objective, rate_factor=rate_factor)
