"""A row of Table 29: every system on the folds of every seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from trainer.evaluate.open_set import open_set_figures
from trainer.external.bundle_encoder import open_encoder
from trainer.open_set.clips import SoundClip, read_class_tree
from trainer.open_set.decide import Embedded, open_set_scores
from trainer.open_set.direct import directly_trained
from trainer.open_set.folds import Fold, few_shot_folds
from trainer.open_set.others import Vectors, encoded_clips, nearest_shot, shallow_on, statistics_of
from trainer.open_set.recipe import DIRECT, NEAREST, SHALLOW, OpenSetRecipe, open_set_recipe
from trainer.open_set.roles import assign_roles

Figures = Mapping[str, float]
"""Name of a system -> its weighted accuracy; `SYSTEM: FIGURE` -> all of `open_set_figures`; each in [0, 1]."""


@dataclass(frozen=True)
class Trial:
    """One fold of one seed."""

    fold: Fold
    clips: tuple[SoundClip, ...]
    recipe: OpenSetRecipe
    run_directory: Path
    seed: int


def reproduce_open_set(
    data: Path, row_recipe: Mapping[str, Any], seeds: Sequence[int], run_directory: Path, *, progress: bool = False
) -> Mapping[str, tuple[float, ...]]:
    """The figures of a row.

    Args:
        data: a folder per class, or files named `CLASS__NAME`.
        row_recipe: fields of `OpenSetRecipe`.
        seeds: of classes, shots and training; each gives the mean over its folds.
        run_directory: checkpoints go below it.
        progress: show a bar.

    Returns:
        figure -> one value per seed; see `Figures`.

    Raises:
        AudioError: recordings that cannot be used.
        BundleError: an encoder that cannot be used.
        ConfigError: a field that does not exist or fit.
        UsageError: classes that do not exist or fit.
    """
    recipe, clips = open_set_recipe(row_recipe), tuple(read_class_tree(data))
    trials = [trial for seed in seeds for trial in _trials(clips, recipe, run_directory, seed)]
    bar = track(trials, description=f"{recipe.openness}, {recipe.shots} shots", disable=not progress)
    judged = [(trial.seed, judge_trial(trial)) for trial in bar]
    per_seed = [_mean([figures for seed, figures in judged if seed == wanted]) for wanted in seeds]
    return {name: tuple(figures[name] for figures in per_seed) for name in per_seed[0]} if per_seed else {}


def judge_trial(trial: Trial) -> Figures:
    """Every system on one fold."""
    result: dict[str, float] = {}
    for name, run in _systems(trial).items():
        scores = open_set_scores(run(), trial.fold)
        figures = open_set_figures(scores, trial.recipe.max_distance, trial.recipe.beta)
        result[name] = figures["weighted_accuracy"]
        result |= {f"{name}: {figure}": value for figure, value in figures.items()}
    return result


def _trials(clips: tuple[SoundClip, ...], recipe: OpenSetRecipe, run_directory: Path, seed: int) -> list[Trial]:
    names = {clip.name for clip in clips}
    roles = assign_roles(
        names, recipe.openness, seed, non_targets=recipe.non_targets, n_non_targets=recipe.n_non_targets
    )
    folds = few_shot_folds(clips, roles, recipe.shots, seed)[: recipe.n_folds or None]
    place = run_directory / f"{recipe.openness}-{recipe.shots}"
    return [Trial(fold, clips, recipe, place / f"{seed}-{k}", seed) for k, fold in enumerate(folds)]


def _systems(trial: Trial) -> dict[str, Callable[[], Embedded]]:
    """Label -> what runs it."""
    recipe = trial.recipe
    one: dict[str, dict[str, Callable[[], Embedded]]] = {
        DIRECT: {DIRECT: lambda: directly_trained(trial.fold, recipe, trial.run_directory / "direct", seed=trial.seed)},
        SHALLOW: {f"{SHALLOW}, {Path(name).stem}": _shallow(trial, name) for name in recipe.encoders},
        NEAREST: {NEAREST: lambda: nearest_shot(_statistics(trial.clips, recipe.segment_samples), trial.fold)},
    }
    return {label: run for name in recipe.systems for label, run in one[name].items()}


def _shallow(trial: Trial, encoder: str) -> Callable[[], Embedded]:
    def run() -> Embedded:
        vectors = _encoded(encoder, trial.clips, trial.recipe.segment_samples)
        place = trial.run_directory / f"shallow-{Path(encoder).stem}"
        return shallow_on(vectors, trial.fold, trial.recipe, place, seed=trial.seed)

    return run


@lru_cache(maxsize=4)
def _encoded(encoder: str, clips: tuple[SoundClip, ...], segment_samples: int) -> Vectors:
    return encoded_clips(open_encoder(encoder), clips, segment_samples)


@lru_cache(maxsize=1)
def _statistics(clips: tuple[SoundClip, ...], segment_samples: int) -> Vectors:
    return statistics_of(clips, segment_samples)


def _mean(figures: Sequence[Figures]) -> Figures:
    return {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}
