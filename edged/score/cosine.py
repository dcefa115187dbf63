"""Minimum cosine distance to k-means centres of the source domain and to every target reference (thesis 5.3.1).

    source vectors --k-means--> centres --\
                                           minimum cosine distance = distance to normal
    target vectors ------------ all ------/

Source domains are dense and averaged over, target domains are few clips of which each counts; the minimum over both
needs no knowledge of the domain a sound comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edged.flow import Float32Array, Float64Array
from edged.score.backend import Arrays, leave_clips_out, stored
from edged.score.distances import cosine, unit
from edged.score.kmeans import spherical_kmeans
from edged.score.references import References


@dataclass(frozen=True)
class CosineBackend:
    """Fitted state: see `fit`.

    Attributes:
        anchors: (n_anchors, dim) unit vectors: source centres, then target references.
        members: (n_references, dim) unit vectors, to name the nearest clip.
        left_out: (n_references,) leave-clip-out distances.
    """

    anchors: Float64Array
    members: Float64Array
    left_out: Float64Array

    @classmethod
    def fit(cls, references: References, *, n_clusters: int = 16, seed: int = 0) -> CosineBackend:
        """Centres of the source rows and all target rows.

        Args:
            references: any domains; the source domain may be absent.
            n_clusters: k-means centres (16 or 32 in the thesis).
            seed: of k-means.
        """
        anchors = _anchors(references, n_clusters, seed)
        return cls(anchors, unit(references.vectors), _leave_clip_out(references, n_clusters, seed))

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """Minimum cosine distance to any anchor: (n, dim) -> (n,), 0 to 2."""
        result: Float64Array = cosine(vectors, self.anchors).min(axis=1)
        return result

    def nearest(self, vectors: ArrayLike) -> NDArray[np.int64]:
        """Row of the most similar reference: (n, dim) -> (n,)."""
        return np.asarray(cosine(vectors, self.members).argmin(axis=1), np.int64)

    def leave_clip_out(self) -> Float64Array:
        """(n_references,): distance with the row's own clip left out; NaN without other clips."""
        return self.left_out

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Anchors, members and leave-clip-out distances."""
        return {"anchors": self.anchors, "members": self.members, "left_out": self.left_out}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> CosineBackend:
        """Restore what `to_arrays` gave."""
        anchors, members = (np.asarray(stored(arrays, key, 2), np.float64) for key in ("anchors", "members"))
        return cls(anchors, members, np.asarray(stored(arrays, "left_out", 1), np.float64))


def _anchors(references: References, n_clusters: int, seed: int) -> Float64Array:
    vectors = unit(references.vectors)
    source = references.is_source
    centres = spherical_kmeans(vectors[source], n_clusters, seed) if source.any() else vectors[:0]
    return np.concatenate([centres, vectors[~source]])


def _leave_clip_out(references: References, n_clusters: int, seed: int) -> Float64Array:
    """Every clip scored by anchors found without it."""

    def without(others: References, vectors: Float32Array) -> Float64Array:
        return np.asarray(cosine(vectors, _anchors(others, n_clusters, seed)).min(axis=1))

    return leave_clips_out(references, without)
