"""What trainings of embedders for words that come later share: the corpus on disk, the fit, the bundle."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from torch import nn
from torch.utils.data import Dataset

from edged.embed.bundle import Bundle
from edged.errors import AudioError, UsageError
from edged.features.keyword import KeywordSpec
from trainer.data.background_speech import background_scenes
from trainer.data.speech_corpus import Material, babble_noises, machine_noises, read_material, write_shard
from trainer.data.speech_scene import NoiseRange
from trainer.files import storage, write_whole
from trainer.keyword_batches import keyword_loader
from trainer.keyword_bundle import GENERAL_DECISION, SEEN_RIGHT_FRAMES, embed_signal, write_keyword_bundle
from trainer.keyword_recipe import CorpusRecipe, KeywordTrainingOptions
from trainer.models.speech_trunk import SpeechTrunk
from trainer.training import fit

MADE_OF = "made_of.json"
"""What the shards beside it were made of."""


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


def noisy_material(options: KeywordTrainingOptions, recipe: CorpusRecipe) -> Material:
    """What the corpus is made of, with the noises that the recipe adds to the recorded ones."""
    material = speech_material(options.data)
    rng = np.random.default_rng((options.seed, 5))
    added = machine_noises(rng, recipe.machine_noises) + babble_noises(rng, material, recipe.babble_noises)
    noise = NoiseRange(recipe.snr_db, recipe.noisy_share)
    return replace(material, noises=[*material.noises, *added], noise=noise)


@dataclass(frozen=True)
class CorpusRun:
    """One training on a corpus of scenes."""

    options: KeywordTrainingOptions
    recipe: CorpusRecipe
    spec: KeywordSpec
    network: SpeechTrunk

    @property
    def n_crops(self) -> int:
        """Crops of an epoch."""
        return self.recipe.batch_size * self.recipe.batches_per_epoch

    def corpus(
        self,
        name: str,
        n_shards: int,
        material: Material,
        write: Callable[..., object] | None = None,
        made_by: Mapping[str, Any] | None = None,
    ) -> list[Path]:
        """The shards of one corpus; those that are there already, made of the same, are kept.

        Args:
            write: called with path, random numbers, material, front end and the number of scenes; None labels frames.
            made_by: what its shards depend on beside these and the seed, as JSON.
        """
        folder = self.options.run_directory / name
        paths = [folder / f"{index:04d}.npz" for index in range(n_shards)]
        with storage(folder):
            self._forget_others(folder, material, made_by or {})
            missing = [path for path in paths if not path.is_file()]
            for path in track(missing, description=name, disable=not self.options.progress):
                rng = np.random.default_rng((self.options.seed, int(path.stem), len(name)))
                (write or write_shard)(path, rng, material, self.spec, self.recipe.scenes_per_shard)
        return paths

    def _forget_others(self, folder: Path, material: Material, made_by: Mapping[str, Any]) -> None:
        """A start that ended before its first checkpoint binds nobody, so its shards may be of another seed or data."""
        facts = {"seed": self.options.seed, "data": str(self.options.data), "engines": list(material.engines)}
        facts |= {"words": {word: len(clips) for word, clips in sorted(material.clips.items())}}
        facts |= {"noises": len(material.noises), "scenes_per_shard": self.recipe.scenes_per_shard}
        if material.noise != NoiseRange():
            facts |= {"noise": asdict(material.noise)}
        facts |= made_by
        content, note = json.dumps(facts, indent=1).encode(), folder / MADE_OF
        is_same = note.read_bytes() == content if note.is_file() else self.options.resume
        for path in () if is_same else folder.glob("*.npz"):
            path.unlink()
        write_whole(note, content)

    def fit(
        self, name: str, epochs: int, crops: Dataset[Any], objective: nn.Module, *, rate_factor: float = 1.0
    ) -> None:
        """Train on crops of the corpus."""
        fit(
            self.network,
            objective,
            keyword_loader(crops, self.recipe.batch_size, self.options.seed, self.options.accelerator),
            self.options.settings(name, epochs, rate_factor),
            resume_from=self.options.checkpoint(name),
        )

    def bundle(self, material: Material) -> Bundle:
        """Embed ordinary speech, then export."""
        network = self.network.cpu().eval()
        rng = np.random.default_rng((self.options.seed, 11))
        speech = background_scenes(rng, material, self.recipe.background_s)
        rows = [embed_signal(network, samples, self.spec, SEEN_RIGHT_FRAMES) for samples in speech]
        return write_keyword_bundle(
            self.options.out,
            network,
            self.spec,
            np.concatenate(rows),
            bundle_id="keyword-general",
            version=self.options.version,
            decision=GENERAL_DECISION,
            training=training_summary(self.options, material),
            card=self.options.card,
            seen_right_frames=SEEN_RIGHT_FRAMES,
        )


def training_summary(options: KeywordTrainingOptions, material: Material) -> dict[str, Any]:
    """Facts for the manifest."""
    noises = options.data is not None and bool(material.noises)  # else they are synthetic machines and voices
    return {
        "recipe": options.recipe.model_dump(mode="json"),
        "seed": options.seed,
        "synthesisers": list(material.engines),
        "recorded_words": {word: len(clips) for word, clips in sorted(material.clips.items())},
        "recorded_sources": ["speech/gsc (CC BY 4.0)", "speech/arabic (CC BY 4.0)"] if material.clips else [],
        "noise_sources": ["noise/esc10 (CC BY 3.0)", "noise/gsc_background (CC BY 4.0)"] if noises else [],
    }
