"""Local outlier factor (thesis 2.6; Breunig et al. 2000): how much sparser the references are around the query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.neighbors import LocalOutlierFactor

from edged.flow import Float64Array
from edged.score.distances import METRICS
from edged.score.references import References
from trainer.backends.checks import at_least, one_of, rows


@dataclass(frozen=True)
class OutlierFactorBackend:
    """Fitted state: see `fit`.

    Attributes:
        model: scikit-learn's estimator for new samples.
    """

    model: LocalOutlierFactor

    @classmethod
    def fit(cls, references: References, *, n_neighbours: int = 10, metric: str = "cosine") -> OutlierFactorBackend:
        """Local densities of the references.

        Args:
            references: any domains.
            n_neighbours: 5 to 20 do; all others where there are fewer. One reference alone counts twice, which gives a
                multiple of the distance to it.
            metric: ``cosine`` (embeddings) or ``euclidean`` (statistics).

        Raises:
            ConfigError: n_neighbours < 1 or an unknown metric.
        """
        at_least("n_neighbours", n_neighbours, 1)
        one_of("metric", metric, METRICS)
        x = np.asarray(references.vectors, np.float64)
        x = np.repeat(x, 2, axis=0) if len(x) == 1 else x
        model = LocalOutlierFactor(n_neighbors=min(n_neighbours, len(x) - 1), metric=metric, novelty=True)
        return cls(model.fit(x))

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """(n, dim) -> (n,), above 0; about 1 for what is as near to its neighbours as they are to theirs."""
        x = rows(vectors, self.model.n_features_in_)
        return np.asarray(-self.model.score_samples(x), np.float64) if len(x) else np.empty(0)
