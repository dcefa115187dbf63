"""A trained keyword embedder taught to hear degraded speech as it hears clean speech (knowledge distillation).

bundle -> teacher: clean scenes, level known further ahead -> rows
       -> network: the same scenes degraded, level as on the stream -> the same rows
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from edged.assembly import open_bundle
from edged.embed.bundle import Bundle
from edged.errors import UsageError
from edged.features.keyword import KeywordSpec
from edged.flow import Float32Array
from trainer.data.speech_corpus import Material, random_scene
from trainer.data.speech_pairs import PairCrops, frames_of, load_pair_shards, write_pair_shard
from trainer.keyword_bundle import embed_frames
from trainer.keyword_recipe import DistilledRecipe, KeywordTrainingOptions
from trainer.keyword_run import CorpusRun, noisy_material
from trainer.losses.teacher import TeacherObjective
from trainer.warm_start import started_network

CORPUS, STAGE = "pairs", "distilled"
SAMPLE_SCENES = 40


def train_distilled(options: KeywordTrainingOptions, recipe: DistilledRecipe) -> Bundle:
    """Train and write the bundle.

    Raises:
        UsageError: no bundle to start from, or no speech to learn from.
        BundleError: it holds another network or front end.
    """
    if options.start_from is None:
        fix = "name a bundle, or keyword for the one that ships with edged"
        raise UsageError("a distilled embedder needs --start-from BUNDLE", fix=fix)
    spec = KeywordSpec()
    teacher_spec = spec.model_copy(update={"level_ahead_frames": recipe.teacher_level_ahead_frames})
    material = replace(noisy_material(options, recipe), recorded_share=recipe.recorded_share)
    sample = _sample(np.random.default_rng((options.seed, 7)), material, spec)
    network = started_network(options.start_from, spec, sample)
    teacher = started_network(options.teacher or options.start_from, teacher_spec, sample).eval()
    run = CorpusRun(options, recipe, spec, network)
    write = partial(
        write_pair_shard,
        teacher=lambda frames: embed_frames(teacher, frames, teacher_spec),
        teacher_spec=teacher_spec,
    )
    made_by = {
        "teacher": open_bundle(options.teacher or options.start_from).manifest.files,
        "teacher_level_ahead_frames": recipe.teacher_level_ahead_frames,
        "recorded_share": recipe.recorded_share,
    }
    shards = load_pair_shards(run.corpus(CORPUS, recipe.shards, material, write, made_by))
    context = (spec.context_left_frames, spec.context_right_frames)
    crops = PairCrops(shards, recipe.crop_frames, run.n_crops, context=context, key=(options.seed, 0))
    run.fit(STAGE, recipe.max_epochs, crops, TeacherObjective(spec.silence))
    return run.bundle(material)


def _sample(rng: np.random.Generator, material: Material, spec: KeywordSpec) -> Float32Array:
    """Frames of the sound that the network is to learn from, (n, n_mels)."""
    return np.concatenate([frames_of(random_scene(rng, material).samples, spec) for _ in range(SAMPLE_SCENES)])
