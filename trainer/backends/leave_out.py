"""Distances of the references themselves, each left out of what it is judged by: what thresholds and sums rest on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array
from edged.score.references import References
from trainer.backends.checks import at_least
from trainer.backends.domains import missing_domain
from trainer.backends.registry import checked_entry, fit_backend, parts_of


def leave_out_distances(name: str, references: References, *, n_folds: int = 10, **params: Any) -> Float64Array:
    """Every clip's rows scored by a fit without that clip's fold.

    Args:
        name: a back end, as for `fit_backend`.
        references: normal sound of one section.
        n_folds: so many fits, or one per clip where there are fewer clips.
        params: as for `fit_backend`.

    Returns:
        (n_references,); NaN where nothing is left to compare with, or where the fold holds all clips of a domain that
        has a model of its own: without it, distances would mean something else.

    Raises:
        ConfigError: as for `fit_backend`, or n_folds < 2.
        EnrolmentError: as for `fit_backend`.
    """
    at_least("n_folds", n_folds, 2)
    entry = checked_entry(name, params)
    n_models = parts_of(entry, references, params)
    if n_models == 0:
        raise missing_domain(params["domains"])
    folds = clip_folds(references, n_folds)
    result = np.full(len(references), np.nan)
    for fold in np.unique(folds):
        own = folds == fold
        if not own.all() and parts_of(entry, left := references.select(~own), params) == n_models:
            result[own] = fit_backend(name, left, **params).distance(references.vectors[own])
    return result


def clip_folds(references: References, n_folds: int) -> NDArray[np.int64]:
    """Fold of every row (n,): a clip's rows together, the clips of each domain spread evenly.

    >>> refs = References(np.ones((4, 1), np.float32), ("source",) * 2 + ("new",) * 2, np.array([5, 5, 6, 7]))
    >>> clip_folds(refs, 2).tolist()
    [0, 0, 1, 0]
    """
    order = sorted(dict.fromkeys(zip((~references.is_source).tolist(), references.clips.tolist(), strict=True)))
    fold_of = {clip: number % n_folds for number, (_, clip) in enumerate(order)}
    return np.array([fold_of[clip] for clip in references.clips.tolist()], np.int64)
