"""Runs one system on one draw: features or a trained embedder, back end, limits tuned on one part, judged on both."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from edged.features.keyword import KeywordFrames, KeywordSpec
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.data.hfcc import HOP_SAMPLES, hfcc
from trainer.data.keyword_segments import SEGMENT_FRAMES
from trainer.evaluate.counts import Counts
from trainer.evaluate.keyword_sets import Audio
from trainer.keyword_systems.decide import Evidence, SlidingSpotter, TemplateSpotter
from trainer.keyword_systems.embedder import Shots, train_embedder
from trainer.keyword_systems.recipe import SystemRecipe
from trainer.keyword_systems.segments import centred_segments, embed_recording, embed_segments
from trainer.keyword_systems.tuning import Truth, judged, word_curve

SPEC = KeywordSpec()
HOP_S = SPEC.hop_samples / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Draw:
    """One draw of shots with everything that systems share.

    Attributes:
        clips: word -> shots, samples.
        audio: file -> samples, of both parts.
        frames: file -> front-end frames (n_frames, n_mels).
        shots: frames of the clips, and of the background.
        validation: file -> truth, where limits are tuned.
        test: file -> truth.
    """

    clips: Mapping[str, Sequence[Float32Array]]
    audio: Audio
    frames: Mapping[str, Float32Array]
    shots: Shots
    validation: Truth
    test: Truth


@dataclass(frozen=True)
class Result:
    """What became of one system on one draw.

    Attributes:
        figures: (kind of limits, part) -> decisions over all words; kinds ``global`` and ``individual``.
        training_s: CPU seconds of training.
        listening_s: CPU seconds of everything after it.
    """

    figures: Mapping[tuple[str, str], Counts]
    training_s: float
    listening_s: float


def front_end_frames(samples: Float32Array) -> Float32Array:
    """The product's front end over a whole recording: float32 (n_frames, n_mels)."""
    extractor = KeywordFrames(SPEC)
    return np.concatenate([extractor.push(samples), extractor.flush()])


def run_system(recipe: SystemRecipe, draw: Draw, seed: int, run_directory: Path, *, progress: bool = False) -> Result:
    """Train where there is something to train, tune on the validation part, judge on both."""
    start_s = time.process_time()
    listen = _system(recipe, draw, seed, run_directory, progress=progress)
    trained_s = time.process_time()
    spotter, hear = listen
    evidence = {name: hear(name) for name in (*draw.validation, *draw.test)}
    figures = _figures(spotter, evidence, draw)
    return Result(figures, trained_s - start_s, time.process_time() - trained_s)


Spotter = TemplateSpotter | SlidingSpotter
Hear = Callable[[str], Evidence]


def _system(
    recipe: SystemRecipe, draw: Draw, seed: int, run_directory: Path, *, progress: bool
) -> tuple[Spotter, Hear]:
    """Where the evidence of a file comes from, and what decides about it."""
    if recipe.features == "hfcc":
        return _hfcc_system(draw)
    embedder = train_embedder(recipe, draw.shots, seed, run_directory, progress=progress)
    if embedder.centres is not None:
        return _sliding_system(recipe, draw, embedder.network, embedder.centres)
    return _temporal_system(recipe, draw, embedder.network)


def _sliding_system(
    recipe: SystemRecipe, draw: Draw, network: nn.Module, centres: Float32Array
) -> tuple[Spotter, Hear]:
    step, silence = recipe.inference_step_frames, draw.shots.silence
    lengths = np.array([np.mean([len(shot) for shot in shots]) / step for shots in draw.shots.words.values()])
    spotter = SlidingSpotter(tuple(draw.shots.words), centres, lengths, step * HOP_S, SEGMENT_FRAMES * HOP_S)
    return spotter, lambda name: spotter.evidence(
        embed_segments(network, centred_segments(draw.frames[name], step, silence))
    )


def _temporal_system(recipe: SystemRecipe, draw: Draw, network: nn.Module) -> tuple[Spotter, Hear]:
    step, silence = recipe.inference_step_frames, draw.shots.silence
    templates = {
        word: [embed_recording(network, shot, step, silence) for shot in shots]
        for word, shots in draw.shots.words.items()
    }
    spotter = TemplateSpotter(templates, HOP_S)
    return spotter, lambda name: spotter.evidence(embed_recording(network, draw.frames[name], step, silence))


def _hfcc_system(draw: Draw) -> tuple[Spotter, Hear]:
    templates = {word: [hfcc(shot) for shot in shots] for word, shots in draw.clips.items()}
    spotter = TemplateSpotter(templates, HOP_SAMPLES / SAMPLE_RATE_HZ)
    return spotter, lambda name: spotter.evidence(hfcc(draw.audio[name]))


def _figures(spotter: Spotter, evidence: Mapping[str, Evidence], draw: Draw) -> dict[tuple[str, str], Counts]:
    curve = word_curve(spotter, evidence, draw.validation)
    limits = {"global": curve.common_limits(), "individual": curve.own_limits()}
    parts = {"validation": draw.validation, "test": draw.test}
    return {
        (kind, part): judged(spotter, evidence, truth, limit)
        for kind, limit in limits.items()
        for part, truth in parts.items()
    }
