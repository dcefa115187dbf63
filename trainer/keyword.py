"""Trains a keyword embedder and writes it as a bundle.

general: synthetic sentences and recorded words -> shards -> network -> phone times of the recorded words -> more shards
         -> network -> bundle
site:    see trainer/keyword_site.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning as pl
import numpy as np
from rich.progress import track

from edged.embed.bundle import Bundle
from edged.errors import AudioError, UsageError
from edged.features.keyword import KeywordSpec
from trainer.checkpoints import LAST_CHECKPOINT, load_network
from trainer.data.alignment import align_words
from trainer.data.background_speech import background_scenes
from trainer.data.speech_corpus import (
    Material,
    babble_noises,
    machine_noises,
    read_material,
    write_shard,
)
from trainer.data.speech_crops import diphone_classes, load_shards
from trainer.data.speech_scene import NoiseRange
from trainer.files import storage, write_whole
from trainer.keyword_batches import CropDataset, keyword_loader
from trainer.keyword_bundle import GENERAL_DECISION, embed_signal, write_keyword_bundle
from trainer.keyword_recipe import GeneralRecipe, KeywordTrainingOptions, as_trained
from trainer.keyword_site import train_site
from trainer.losses.running_speech import RunningSpeechObjective
from trainer.models.speech_trunk import SpeechTrunk
from trainer.run_directory import RunDirectory
from trainer.training import fit
from trainer.warm_start import started_network

ALIGNED_SHARE = 0.66
STAGES = ("first", "second", "third")
MADE_OF = "made_of.json"
"""What the shards beside it were made of."""


def train_keyword(options: KeywordTrainingOptions) -> Bundle:
    """Train and write the bundle.

    Raises:
        UsageError: nothing to learn from, folders that the recipe has no use for, or a run directory that is taken.
        AudioError: recordings that cannot be used.
        BundleError: the exported network differs from the trained one.
        StorageError: the run directory cannot be written.
    """
    options.require_used_sources()
    RunDirectory.open(options.run_directory, options.config(), resume=options.resume)
    pl.seed_everything(options.seed, workers=True, verbose=False)
    if isinstance(options.recipe, GeneralRecipe):
        return train_general(options, options.recipe)
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
    run.fit("first", recipe.first_epochs, shards, objective)
    if recipe.aligned_shards and material.clips and material.engines:
        aligned = align_words(material.clips, run.network, objective.phone_loss, run.spec)
        richer = replace(material, clips=aligned, recorded_share=ALIGNED_SHARE)
        shards = [*shards, *run.corpus("aligned", recipe.aligned_shards, richer)]
    run.fit("second", recipe.max_epochs, shards, objective)
    if recipe.restart_epochs:
        run.fit("third", recipe.restart_epochs, shards, objective, rate_factor=0.5)
    return run.bundle(material)


def export_general(options: KeywordTrainingOptions) -> Bundle:
    """Write the bundle of a general run that was stopped before its end, from its last checkpoint.

    Raises:
        UsageError: no checkpoint, or one of another recipe's network; no speech for the background.
    """
    options = as_trained(options)
    recipe = options.recipe
    if not isinstance(recipe, GeneralRecipe):
        raise UsageError("only runs of a general recipe can be exported", fix="train a site's own words again")
    stages = [options.run_directory / name for name in reversed(STAGES)]
    run = GeneralRun(options, recipe, KeywordSpec(), SpeechTrunk(recipe.width))
    load_network(run.network, next((s for s in stages if (s / LAST_CHECKPOINT).is_file()), options.run_directory))
    return run.bundle(speech_material(options.data))


def speech_material(data: Path | None) -> Material:
    """Recordings and synthesisers; there is speech among them.

    Raises:
        AudioError: no such directory, or nothing in it where recordings are looked for.
        UsageError: no recorded words and no synthesiser.
    """
    if data is not None and not data.is_dir():
        raise AudioError(f"{data}: no such directory", fix="name a folder in the layout of the data pack")
    material = read_material(data)
    if data is not None and not material.clips and not material.noises:
        fix = "words go to speech/gsc/WORD/*.wav, noises to noise/*/*.ogg"
        raise AudioError(f"{data}: no recordings in the layout of the data pack", fix=fix)
    if not material.engines and not material.clips:
        raise UsageError("no speech to learn from", fix="apt install espeak-ng flite, or give --data")
    return material


def noisy_material(options: KeywordTrainingOptions, recipe: GeneralRecipe) -> Material:
    """What the corpus is made of, with the noises that the recipe adds to the recorded ones."""
    material = speech_material(options.data)
    rng = np.random.default_rng((options.seed, 5))
    added = machine_noises(rng, recipe.machine_noises) + babble_noises(rng, material, recipe.babble_noises)
    noise = NoiseRange(recipe.snr_db, recipe.noisy_share)
    return replace(material, noises=[*material.noises, *added], noise=noise)


@dataclass(frozen=True)
class GeneralRun:
    """One training of a general embedder."""

    options: KeywordTrainingOptions
    recipe: GeneralRecipe
    spec: KeywordSpec
    network: SpeechTrunk

    def corpus(self, name: str, n_shards: int, material: Material) -> list[Path]:
        """The shards of one corpus; those that are there already, made of the same, are kept."""
        folder = self.options.run_directory / name
        paths = [folder / f"{index:04d}.npz" for index in range(n_shards)]
        with storage(folder):
            self._forget_others(folder, material)
            missing = [path for path in paths if not path.is_file()]
            for path in track(missing, description=name, disable=not self.options.progress):
                rng = np.random.default_rng((self.options.seed, int(path.stem), len(name)))
                write_shard(path, rng, material, self.spec, self.recipe.scenes_per_shard)
        return paths

    def _forget_others(self, folder: Path, material: Material) -> None:
        """A start that ended before its first checkpoint binds nobody, so its shards may be of another seed or data."""
        facts = {"seed": self.options.seed, "data": str(self.options.data), "engines": list(material.engines)}
        facts |= {"words": {word: len(clips) for word, clips in sorted(material.clips.items())}}
        facts |= {"noises": len(material.noises), "scenes_per_shard": self.recipe.scenes_per_shard}
        if material.noise != NoiseRange():
            facts |= {"noise": asdict(material.noise)}
        content, note = json.dumps(facts, indent=1).encode(), folder / MADE_OF
        is_same = note.read_bytes() == content if note.is_file() else self.options.resume
        for path in () if is_same else folder.glob("*.npz"):
            path.unlink()
        write_whole(note, content)

    def objective(self, shards: Sequence[Path], n_words: int) -> RunningSpeechObjective:
        """The loss, with the diphones of the corpus."""
        return RunningSpeechObjective(
            diphone_classes(load_shards(shards), self.recipe.diphones),
            max(1, n_words),
            (self.network.context_left, self.network.context_right),
            self.spec.silence,
            reversed_share=self.recipe.reversed_share,
        )

    def fit(
        self,
        name: str,
        epochs: int,
        shards: Sequence[Path],
        objective: RunningSpeechObjective,
        *,
        rate_factor: float = 1.0,
    ) -> None:
        """Train on shards."""
        recipe, seed = self.recipe, self.options.seed
        self.network.train()
        objective.train()
        n_crops = recipe.batch_size * recipe.batches_per_epoch
        crops = CropDataset(load_shards(shards), recipe.crop_frames, n_crops, (seed, STAGES.index(name)))
        fit(
            self.network,
            objective,
            keyword_loader(crops, recipe.batch_size, seed, self.options.accelerator),
            self.options.settings(name, epochs, rate_factor),
            resume_from=self.options.checkpoint(name),
        )

    def bundle(self, material: Material) -> Bundle:
        """Embed ordinary speech, then export."""
        network = self.network.cpu().eval()
        rng = np.random.default_rng((self.options.seed, 11))
        speech = background_scenes(rng, material, self.recipe.background_s)
        background = np.concatenate([embed_signal(network, samples, self.spec) for samples in speech])
        return write_keyword_bundle(
            self.options.out,
            network,
            self.spec,
            background,
            bundle_id="keyword-general",
            version=self.options.version,
            decision=GENERAL_DECISION,
            training=training_summary(self.options, material),
            card=self.options.card,
        )


def training_summary(options: KeywordTrainingOptions, material: Material) -> dict[str, Any]:
    """Facts for the manifest."""
    return {
        "recipe": options.recipe.model_dump(mode="json"),
        "seed": options.seed,
        "synthesisers": list(material.engines),
        "recorded_words": {word: len(clips) for word, clips in sorted(material.clips.items())},
        "recorded_sources": ["speech/gsc (CC BY 4.0)", "speech/arabic (CC BY 4.0)"] if material.clips else [],
        "noise_sources": ["noise/esc10 (CC BY 3.0)", "noise/gsc_background (CC BY 4.0)"] if material.noises else [],
    }
