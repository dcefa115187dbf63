"""Mean of the cosine distances to the closest references (thesis 3.4.3, Table 6: the 10 closest)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edged.flow import Float64Array
from edged.score.distances import cosine, unit
from edged.score.references import References
from trainer.backends.checks import at_least, rows


@dataclass(frozen=True)
class NearestSamples:
    """Fitted state: see `fit`.

    Attributes:
        members: (n_references, dim) of length one.
        k: so many of them count, at most n_references.
    """

    members: Float64Array
    k: int

    @classmethod
    def fit(cls, references: References, *, k: int = 10) -> NearestSamples:
        """Keep every reference.

        Args:
            references: any domains.
            k: neighbours averaged over; all references where there are fewer.

        Raises:
            ConfigError: k < 1.
        """
        at_least("k", k, 1)
        return cls(unit(references.vectors), min(k, len(references)))

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """(n, dim) -> (n,), 0 to 2."""
        distances = cosine(rows(vectors, self.members.shape[1]), self.members)
        nearest = np.partition(distances, self.k - 1, axis=1)[:, : self.k]
        result: Float64Array = nearest.mean(axis=1)
        return result
