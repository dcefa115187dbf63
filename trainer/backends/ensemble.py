"""Ensembles: the sum of the anomaly scores of several systems (thesis 2.9, 3.4.7, 5.8), made comparable if asked.

Systems that differ only in their seed or their number of sub-clusters are summed as they are, as in the thesis. Scores
of different back ends have different scales; these are made comparable first, by the scores of normal training clips
that were left out of what judged them (`trainer.backends.leave_out`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from edged.errors import ConfigError
from edged.flow import Float64Array
from trainer.backends.checks import one_of

Normalise = Callable[[Float64Array, Float64Array], Float64Array]


def summed_scores(
    scores: Sequence[ArrayLike], normal_scores: Sequence[ArrayLike] | None = None, *, normalisation: str = "none"
) -> Float64Array:
    """Anomaly scores of the ensemble; called with `scores=normal_scores` it gives those of the normal clips.

    Args:
        scores: one (n,) per system, higher = more anomalous, of the same clips in the same order.
        normal_scores: one (m,) per system, NaN where unknown; needed unless nothing is normalised.
        normalisation: one of `NORMALISATIONS`.

    Returns:
        (n,); NaN where a system's score is.

    Raises:
        ConfigError: no systems, lengths that differ, or no two normal scores to normalise by.
    """
    one_of("normalisation", normalisation, NORMALISATIONS)
    systems = [np.asarray(one, np.float64) for one in scores]
    if not systems or any(one.ndim != 1 or one.shape != systems[0].shape for one in systems):
        raise ConfigError("the systems of an ensemble judged different clips", fix="give the same clips to all")
    if normalisation != "none":
        known = [_finite(one) for one in (() if normal_scores is None else normal_scores)]
        if len(known) != len(systems):
            raise ConfigError("an ensemble's normalisation needs the normal scores of every system", fix="give them")
        systems = [NORMALISATIONS[normalisation](*pair) for pair in zip(systems, known, strict=True)]
    result: Float64Array = np.sum(systems, axis=0)
    return result


def unchanged(scores: Float64Array, _: Float64Array) -> Float64Array:
    """The scores as they are."""
    return scores


def standardised(scores: Float64Array, normal_scores: Float64Array) -> Float64Array:
    """Distance from the mean of the normal scores in their standard deviations; a deviation of zero counts as one.

    >>> standardised(np.array([3.0]), np.array([0.0, 2.0])).tolist()
    [2.0]
    """
    return np.asarray((scores - normal_scores.mean()) / _deviation(normal_scores))


def empirical_cdf(scores: Float64Array, normal_scores: Float64Array) -> Float64Array:
    """Share of the normal scores below each score, ties counting half.

    Above the highest normal score it goes on by one per standard deviation: a share alone would make all of what is
    clearly anomalous equal.

    >>> empirical_cdf(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 2.0])).tolist()
    [0.25, 0.5, 0.75, 2.0]
    """
    ordered = np.sort(normal_scores)
    below, up_to = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    excess = np.maximum(scores - ordered[-1], 0.0) / _deviation(ordered)
    share: Float64Array = 0.5 * (below + up_to) / len(ordered) + excess
    return np.asarray(np.where(np.isfinite(scores), share, scores))


NORMALISATIONS: dict[str, Normalise] = {
    "none": unchanged,
    "standardised": standardised,
    "empirical-cdf": empirical_cdf,
}


def _deviation(normal_scores: Float64Array) -> float:
    deviation = float(normal_scores.std())
    return deviation if deviation > 1e-12 * max(float(np.abs(normal_scores).max()), 1e-300) else 1.0


def _finite(scores: ArrayLike) -> Float64Array:
    known = np.asarray(scores, np.float64)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        raise ConfigError("a system of the ensemble has no two normal scores", fix="enrol more clips or choose 'none'")
    return known
