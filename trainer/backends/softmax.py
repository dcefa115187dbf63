"""Softmax output of the network (thesis 2.6 and 3.4.3, Table 6): how unlikely the section's own classes are.

The vectors are logits of the network's classes here, not embeddings; nothing is fitted to the references.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from edged.errors import ConfigError
from edged.flow import Float64Array
from edged.score.references import References
from trainer.backends.checks import rows


@dataclass(frozen=True)
class SoftmaxBackend:
    """Fitted state: see `fit`.

    Attributes:
        own_classes: columns of the section's own classes.
        n_classes: columns in all.
    """

    own_classes: tuple[int, ...]
    n_classes: int

    @classmethod
    def fit(cls, references: References, *, own_classes: Sequence[int]) -> SoftmaxBackend:
        """Of the references only the number of classes counts.

        Args:
            references: their vectors are logits.
            own_classes: columns whose probabilities are added up (one per attribute combination of the section).

        Raises:
            ConfigError: no column, one twice, or one that does not exist.
        """
        n_classes = references.vectors.shape[1]
        columns = tuple(int(column) for column in own_classes)
        if not columns or len(set(columns)) < len(columns) or not set(columns) <= set(range(n_classes)):
            raise ConfigError(
                f"'own_classes' is {columns}", fix=f"give one or more different classes from 0 to {n_classes - 1}"
            )
        return cls(columns, n_classes)

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """Minus the natural logarithm of the probability: logits (n, n_classes) -> (n,), 0 or more."""
        logits = rows(vectors, self.n_classes)
        is_own = np.isin(np.arange(self.n_classes), self.own_classes)
        own = logsumexp(np.where(is_own, logits, -np.inf), axis=1)
        others = logsumexp(np.where(is_own, -np.inf, logits), axis=1)
        return np.asarray(np.logaddexp(0.0, others - own), np.float64)  # log(1 - p) of p near 1 would be all ties
