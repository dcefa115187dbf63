"""The reference vectors of one representation, each with its domain and the clip it was cut from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.errors import EnrolmentError
from edged.flow import Float32Array

SOURCE = "source"
"""Name of the domain a machine was first learned in; every other domain is a target domain."""


@dataclass(frozen=True)
class References:
    """Normal sound as vectors.

    Attributes:
        vectors: float32 (n, dim), finite.
        domains: acoustic domain of every row.
        clips: int (n,), number of the clip a row was cut from; rows of one clip are never judged by each other.

    Raises:
        EnrolmentError: no rows, lengths that differ, or values that are not finite.
    """

    vectors: Float32Array
    domains: tuple[str, ...]
    clips: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) == 0:
            raise EnrolmentError(f"references need rows of vectors, not an array of shape {self.vectors.shape}")
        if not len(self.vectors) == len(self.domains) == len(self.clips):
            raise EnrolmentError("references need one domain and one clip number per vector")
        if not np.isfinite(self.vectors).all():
            raise EnrolmentError("reference vectors hold NaN or infinity", fix="enrol undamaged clips")

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def is_source(self) -> NDArray[np.bool_]:
        """Bool (n,): rows of the source domain."""
        return np.array([domain == SOURCE for domain in self.domains])

    @property
    def domain_numbers(self) -> NDArray[np.int64]:
        """Int (n,): the domain of every row, numbered in the order of their names."""
        return np.asarray(np.unique(np.array(self.domains), return_inverse=True)[1], np.int64)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> References:
        """The chosen rows, as a new set."""
        chosen = np.arange(len(self))[rows]
        return References(self.vectors[chosen], tuple(self.domains[i] for i in chosen), self.clips[chosen])

    def same_clip(self) -> NDArray[np.bool_]:
        """Bool (n, n): rows that come from one clip (a row and itself included)."""
        same: NDArray[np.bool_] = self.clips[:, np.newaxis] == self.clips[np.newaxis, :]
        return same
