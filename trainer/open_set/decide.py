"""From embeddings to open-set decisions: the most similar known class, unless something else is more similar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float32Array, Float64Array
from edged.score.distances import cosine, unit
from trainer.evaluate.open_set import OpenSetScores
from trainer.open_set.folds import Fold

REJECTED = 2.0
"""Largest cosine distance; what resembles a known unknown more than any target scores above it."""


@dataclass(frozen=True)
class Embedded:
    """What a system made of a fold.

    Attributes:
        anchors: float32 (n_anchors, dim), what classes are known by.
        anchor_classes: int (n_anchors,), indices into the fold's `roles.trained`.
        test: float32 (n_test, dim).
    """

    anchors: Float32Array
    anchor_classes: NDArray[np.int64]
    test: Float32Array


def class_means(vectors: Float32Array, classes: NDArray[np.int64]) -> tuple[Float32Array, NDArray[np.int64]]:
    """Mean direction of each class: (n, dim), (n,) -> (n_classes, dim), (n_classes,).

    With one sub-cluster the k-means centre of the thesis's back end is just that.
    """
    names = np.unique(classes)
    rows = unit(vectors)
    return np.stack([rows[classes == c].mean(axis=0) for c in names]).astype(np.float32), names


def open_set_scores(embedded: Embedded, fold: Fold) -> OpenSetScores:
    """Anomaly scores: the cosine distance to the nearest target, 0 to 2.

    A sample that is nearer to a known unknown is unknown at any threshold: it scores above 2, by how much nearer.
    """
    distances = _class_distances(embedded, len(fold.roles.trained))
    n_targets = len(fold.roles.targets)
    nearest = distances[:, :n_targets].min(axis=1)
    other = distances[:, n_targets:].min(axis=1, initial=np.inf)
    scores = np.where(other < nearest, REJECTED + nearest - other, nearest)
    classes, predicted = fold.test_classes, distances[:, :n_targets].argmin(axis=1)
    is_known = classes >= 0
    return OpenSetScores(scores[is_known], classes[is_known], predicted[is_known], scores[~is_known])


def _class_distances(embedded: Embedded, n_classes: int) -> Float64Array:
    """Distance to the nearest anchor of each class: (n_test, n_classes)."""
    distances = cosine(embedded.test, embedded.anchors)
    return np.stack([distances[:, embedded.anchor_classes == c].min(axis=1) for c in range(n_classes)], axis=1)
