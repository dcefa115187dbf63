"""All representations of a segment as one point, so that "how far apart" has one answer.

Every representation is divided by its own spread over the references and weighted as the scorer weights it. This is no
score: it serves to tell which clips belong together, which to keep, and what resembles a labelled anomaly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edged.flow import Float32Array, Float64Array
from edged.score.distances import TINY, euclidean


@dataclass(frozen=True)
class JointSpace:
    """How representations become one point.

    Attributes:
        factors: representation name -> what its vectors are multiplied by; those that are not scored are left out.
    """

    factors: Mapping[str, float]

    @classmethod
    def of(cls, vectors: Mapping[str, Float32Array], weights: Mapping[str, float]) -> JointSpace:
        """Scaled to some sound.

        Args:
            vectors: representation name -> (n, dim).
            weights: weight in the score of every scored representation.
        """
        spreads = {name: float(np.sqrt(vectors[name].var(axis=0, dtype=np.float64).sum())) for name in weights}
        return cls({name: weight / max(spreads[name], TINY) for name, weight in weights.items()})

    def points(self, vectors: Mapping[str, Float32Array]) -> Float64Array:
        """(n, sum of dims) of segments given as name -> (n, dim)."""
        return np.hstack([factor * np.asarray(vectors[name], np.float64) for name, factor in self.factors.items()])


def nearest_distances(points: Float64Array, others: Float64Array) -> Float64Array:
    """Distance of every point (n, dim) to the nearest of the others (m, dim); inf without others."""
    if not len(others):
        return np.full(len(points), np.inf)
    return np.asarray(euclidean(points, others).min(axis=1))
