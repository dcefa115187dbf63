"""What every cell adds to the score: hide many random sets of cells, then fit the score by a sum over the cells.

Hiding one cell alone misleads: a fault that fills two cells is still there when one is hidden. So each set hides every
cell with probability one half, and the least-squares weights are each cell's average effect over all sets, its Banzhaf
value (Hammer and Holzman 1992: the best additive approximation of a set function).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array

ScoreHidden = Callable[[NDArray[np.bool_]], float]
"""Hidden cells (n_times, n_bands) -> anomaly score."""
Track = Callable[[Sequence[Any]], Iterable[Any]]
_RIDGE = 1e-3


@dataclass(frozen=True)
class Importance:
    """What cells do to a score, in its units.

    Attributes:
        adds: (n_times, n_bands); positive = drives the score up.
        all_hidden_score: what the score is when everything is made typical.
        explained_share: how much of the scores' variance over the sets the sum over cells explains, 0 to 1.
        n_runs: how many sets were tried.
    """

    adds: Float64Array
    all_hidden_score: float
    explained_share: float
    n_runs: int


def importance(
    score_hidden: ScoreHidden, n_times: int, n_bands: int, *, n_runs: int, seed: int = 0, track: Track = iter
) -> Importance:
    """Estimate by random sets and their complements.

    Args:
        score_hidden: the score with cells hidden.
        n_times: rows of cells; `n_bands` columns.
        n_runs: sets; more than there are cells.
        seed: of the sets.
        track: wraps the sets, to show progress.
    """
    half = np.random.default_rng(seed).random((n_runs // 2, n_times, n_bands)) < 0.5
    sets = np.concatenate([half, ~half])
    scores = np.array([score_hidden(hidden) for hidden in track(list(sets))])
    design = sets.reshape(len(sets), -1) - 0.5
    centred = scores - scores.mean()
    gram = design.T @ design + _RIDGE * len(sets) * np.eye(design.shape[1])
    weights = np.linalg.solve(gram, design.T @ centred)
    residual = float(np.square(centred - design @ weights).sum())
    total = float(np.square(centred).sum())
    share = 1.0 - residual / total if total > 0.0 else 1.0
    everything = score_hidden(np.ones((n_times, n_bands), np.bool_))
    return Importance(-weights.reshape(n_times, n_bands), everything, max(share, 0.0), len(sets))


def single_effects(score_hidden: ScoreHidden, n_times: int, n_bands: int, score: float) -> tuple[list[float], ...]:
    """What the score loses when one slice, or one band, is hidden alone: a coarse answer for few runs.

    Returns:
        for every slice, and for every band.
    """

    def without(times: slice, bands: slice) -> float:
        hidden = np.zeros((n_times, n_bands), np.bool_)
        hidden[times, bands] = True
        return score - score_hidden(hidden)

    everything = slice(None)
    of_times = [without(slice(n, n + 1), everything) for n in range(n_times)]
    return of_times, [without(everything, slice(n, n + 1)) for n in range(n_bands)]
