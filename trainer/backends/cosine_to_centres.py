"""Cosine distance to the mean of the references (thesis 3.4.3, Table 6), or to given class centres (2.6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edged.errors import ConfigError
from edged.flow import Float64Array
from edged.score.distances import cosine, unit
from edged.score.references import References
from trainer.backends.checks import rows


@dataclass(frozen=True)
class CosineToCentres:
    """Smallest cosine distance to any centre.

    Attributes:
        centres: (n_centres, dim), of any length.
    """

    centres: Float64Array

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """(n, dim) -> (n,), 0 to 2; a zero vector, or a mean of zero, is at distance 1."""
        result: Float64Array = cosine(rows(vectors, self.centres.shape[1]), self.centres).min(axis=1)
        return result


def fit_mean(references: References) -> CosineToCentres:
    """The centre is the mean of the references scaled to length one."""
    return CosineToCentres(unit(references.vectors).mean(axis=0, keepdims=True))


def fit_centres(references: References, *, centres: ArrayLike) -> CosineToCentres:
    """The centres the network was trained with; of the references only the dimension counts.

    Args:
        centres: (n_centres, dim) of the section's own classes.

    Raises:
        ConfigError: no centres, of another dimension, or not finite.
    """
    given = np.asarray(centres, np.float64)
    dim = references.vectors.shape[1]
    if given.ndim != 2 or given.shape[1] != dim or len(given) == 0 or not np.isfinite(given).all():
        raise ConfigError(
            f"'centres' is an array of shape {given.shape}", fix=f"give finite rows of {dim} dimensions, at least one"
        )
    return CosineToCentres(given)
