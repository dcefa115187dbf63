"""The figures of `trainer.evaluate.judged` for many bootstrap draws at once.

A draw is no new list of clips but how often it holds each of them. So all draws share one grid, the distinct scores in
ascending order, on which a curve is a cumulative sum: arrays are (n_draws, k) for k distinct scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array
from trainer.evaluate.f1_ev import BETA
from trainer.evaluate.roc import MAX_FPR


@dataclass(frozen=True)
class Draws:
    """Bootstrap draws of one ranking; every draw holds normal and anomalous clips.

    Attributes:
        scores: (k,) distinct scores, ascending.
        normal: int (n_draws, k), how many normal clips of each score a draw holds.
        anomalous: likewise.
    """

    scores: Float64Array
    normal: NDArray[np.int64]
    anomalous: NDArray[np.int64]

    @classmethod
    def of(cls, scores: Float64Array, is_anomalous: NDArray[np.bool_], counts: NDArray[np.int64]) -> Draws:
        """From clips: (n,), bool (n,), and how often each draw holds each clip, (n_draws, n)."""
        order = np.argsort(scores, kind="stable")
        distinct, starts = np.unique(scores[order], return_index=True)
        normal = np.add.reduceat(np.where(is_anomalous, 0, counts)[:, order], starts, axis=1)
        return cls(distinct, normal, np.add.reduceat(counts[:, order], starts, axis=1) - normal)


def ranking_figures(draws: Draws) -> dict[str, Float64Array]:
    """AUC and pAUC: name -> (n_draws,)."""
    fpr, tpr = _rates(draws.normal), _rates(draws.anomalous)
    chance = MAX_FPR**2 / 2.0
    partial = (_area(fpr, tpr, MAX_FPR) - chance) / (MAX_FPR - chance)
    return {"auc": _area(fpr, tpr, 1.0), "partial_auc": 0.5 * (1.0 + partial)}


def drawn_figures(draws: Draws) -> dict[str, Float64Array]:
    """AUC, pAUC, EER, F1-EV and its bounded form: name -> (n_draws,)."""
    f1 = F1Steps.of(draws)
    ev = f1.mean_between(*f1.ends)
    result = {"eer": _equal_error_rate(draws), "f1_ev": ev, "bounded_f1_ev": f1.mean_between(*_bounds(draws, f1))}
    return ranking_figures(draws) | result


@dataclass(frozen=True)
class F1Steps:
    """F1 as a step function of the threshold, one row per draw.

    Attributes:
        scores: (k,) where a step begins.
        below: (n_draws,) F1 of a threshold below all scores.
        values: (n_draws, k) F1 from each score to the next.
        is_held: bool (n_draws, k), scores that occur in the draw.
    """

    scores: Float64Array
    below: Float64Array
    values: Float64Array
    is_held: NDArray[np.bool_]

    @classmethod
    def of(cls, draws: Draws) -> F1Steps:
        """An anomaly is what scores above the threshold."""
        n_normal, n_anomalous = (counts.sum(axis=1, keepdims=True) for counts in (draws.normal, draws.anomalous))
        n_hits = n_anomalous - np.cumsum(draws.anomalous, axis=1)
        n_alarms = n_normal - np.cumsum(draws.normal, axis=1)
        below = (2.0 * n_anomalous / (2.0 * n_anomalous + n_normal))[:, 0]
        values = 2.0 * n_hits / (n_hits + n_alarms + n_anomalous)
        return cls(draws.scores, below, values, draws.normal + draws.anomalous > 0)

    @property
    def ends(self) -> tuple[Float64Array, Float64Array]:
        """Lowest and highest score of each draw."""
        first, last = self._end_indices()
        return self.scores[first], self.scores[last]

    def optimum(self) -> Float64Array:
        """Centre of all thresholds with the highest F1: (n_draws,)."""
        first, last = self._end_indices()
        columns = np.arange(len(self.scores))
        inside = (columns >= first[:, np.newaxis]) & (columns <= last[:, np.newaxis])
        values = np.where(inside, self.values, -1.0)
        is_best = values == values.max(axis=1, keepdims=True)
        after = _last_true(is_best) + 1
        ends = self.scores[is_best.argmax(axis=1)], self.scores[np.minimum(after, last)]
        return np.asarray((ends[0] + ends[1]) / 2.0, np.float64)

    def mean_between(self, low: Float64Array, high: Float64Array) -> Float64Array:
        """Mean F1 over each draw's range; without a range, F1 at its lower end: (n_draws,)."""
        edges = np.clip(np.append(self.scores, np.inf), low[:, np.newaxis], high[:, np.newaxis])
        area = (np.diff(edges, axis=1) * self.values).sum(axis=1) + (edges[:, 0] - low) * self.below
        width = high - low
        return np.asarray(np.where(width > 0.0, area / np.where(width > 0.0, width, 1.0), self._at(low)), np.float64)

    def _at(self, thresholds: Float64Array) -> Float64Array:
        index = np.searchsorted(self.scores, thresholds, side="right") - 1
        values = self.values[np.arange(len(index)), np.maximum(index, 0)]
        return np.where(index >= 0, values, self.below)

    def _end_indices(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return self.is_held.argmax(axis=1), _last_true(self.is_held)


def _bounds(draws: Draws, f1: F1Steps) -> tuple[Float64Array, Float64Array]:
    """Range of the bounded F1-EV (eq. 50), from mean and deviation of the normal scores."""
    n_normal = draws.normal.sum(axis=1)
    mean = draws.normal @ draws.scores / n_normal
    squares = np.square(draws.scores - mean[:, np.newaxis])
    margin = BETA * np.sqrt((draws.normal * squares).sum(axis=1) / n_normal)
    low = mean - margin
    return low, np.maximum(low, f1.optimum() + margin)


def _equal_error_rate(draws: Draws) -> Float64Array:
    fpr, tpr = _rates(draws.normal), _rates(draws.anomalous)
    excess = 1.0 - tpr - fpr  # falls from 1 to -1
    rows, after = np.arange(len(excess)), (excess <= 0.0).argmax(axis=1)
    before = after - 1
    share = excess[rows, before] / (excess[rows, before] - excess[rows, after])
    return np.asarray(fpr[rows, before] + share * (fpr[rows, after] - fpr[rows, before]), np.float64)


def _rates(counts: NDArray[np.int64]) -> Float64Array:
    """Share of clips above the threshold, from the highest threshold to the lowest: (n_draws, k + 1), 0 to 1."""
    above = np.cumsum(counts[:, ::-1], axis=1)
    return np.pad(above, ((0, 0), (1, 0))) / above[:, -1:]


def _area(fpr: Float64Array, tpr: Float64Array, end: float) -> Float64Array:
    """Area below straight lines between the corners, up to a false positive rate: (n_draws,)."""
    steps = np.diff(fpr, axis=1)
    widths = np.clip(fpr[:, 1:], None, end) - np.clip(fpr[:, :-1], None, end)
    slopes = np.diff(tpr, axis=1) / np.where(steps > 0.0, steps, 1.0)
    return np.asarray((widths * (tpr[:, :-1] + slopes * widths / 2.0)).sum(axis=1), np.float64)


def _last_true(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    return np.asarray(flags.shape[1] - 1 - flags[:, ::-1].argmax(axis=1), np.intp)
