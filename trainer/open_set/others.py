"""The systems that learn little: the shallow classifier on an external encoder, and the nearest shot by log-mel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.progress import track

from edged.features.anomaly import AnomalySpec, segment_features
from edged.flow import Float32Array
from trainer.data.clips import at_level
from trainer.external.encoder import Encoder
from trainer.external.shallow import ShallowRecipe, shallow_vectors, train_shallow_classifier
from trainer.external.vectors import external_vectors
from trainer.open_set.clips import SoundClip, read_waveform
from trainer.open_set.decide import Embedded, class_means
from trainer.open_set.folds import Fold
from trainer.open_set.recipe import OpenSetRecipe

Vectors = Mapping[Path, Float32Array]
"""File -> (time, dim), or (dim,) for statistics."""

STATISTICS = "baseline"
SMALLEST_SPREAD = 1e-3


def encoded_clips(
    encoder: Encoder, clips: Sequence[SoundClip], segment_samples: int, *, progress: bool = False
) -> Vectors:
    """What an encoder says of every clip, computed once for all folds; all are brought to one level first."""
    bar = track(clips, description=encoder.label, disable=not progress)
    waveforms = (at_level(read_waveform(clip.path, segment_samples)) for clip in bar)
    return dict(zip([clip.path for clip in clips], external_vectors(encoder, waveforms), strict=True))


def shallow_on(
    vectors: Vectors, fold: Fold, recipe: OpenSetRecipe, run_directory: Path, *, seed: int, progress: bool = False
) -> Embedded:
    """Train the shallow classifier on the fold's shots; a class is known by the mean of its shots."""
    shallow = ShallowRecipe(
        n_centres=1,
        max_epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        mixup_probability=recipe.mixup_probability,
        time_mean=recipe.time_mean,
    )
    train, test = _rows(vectors, fold.train), _rows(vectors, fold.test)
    network = train_shallow_classifier(train, fold.train_classes, shallow, run_directory, seed=seed, progress=progress)
    anchors, classes = class_means(shallow_vectors(network, train, recipe.time_mean), fold.train_classes)
    return Embedded(anchors, classes, shallow_vectors(network, test, recipe.time_mean))


def statistics_of(clips: Sequence[SoundClip], segment_samples: int) -> Vectors:
    """Mean and spread over time of 128 log-mel bands of every clip: (256,) each."""
    hop = min(40_960, segment_samples // 512 * 512)
    spec = AnomalySpec(
        inputs=(), statistics={STATISTICS: ("mean", "std")}, segment_samples=segment_samples, hop_samples=hop
    )
    return {c.path: segment_features(read_waveform(c.path, segment_samples), spec)[STATISTICS] for c in clips}


def nearest_shot(vectors: Vectors, fold: Fold) -> Embedded:
    """Every shot is an anchor; vectors are standardised by the shots, or all cosines would be near one."""
    train, test = _rows(vectors, fold.train), _rows(vectors, fold.test)
    mean, spread = train.mean(axis=0), np.maximum(train.std(axis=0), SMALLEST_SPREAD)
    return Embedded((train - mean) / spread, fold.train_classes, (test - mean) / spread)


def _rows(vectors: Vectors, clips: Sequence[SoundClip]) -> Float32Array:
    return np.stack([vectors[clip.path] for clip in clips])
