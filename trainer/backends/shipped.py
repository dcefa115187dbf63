"""The daemon's own back ends under this registry, so that comparisons run the code that is shipped.

``cosine`` (thesis 5.3.1) and ``shrinkage`` look at clip numbers for their leave-clip-out distances alone; those are not
wanted here and cost forty more fits, so all rows are handed over as one clip.
"""

from __future__ import annotations

import numpy as np

from edged.score.cosine import CosineBackend
from edged.score.density import DensityBackend
from edged.score.distances import METRICS
from edged.score.references import References
from edged.score.shrinkage import ShrinkageBackend
from trainer.backends.checks import at_least, one_of


def fit_kmeans_cosine(references: References, *, n_clusters: int = 16, seed: int = 0) -> CosineBackend:
    """Shipped ``cosine``: source centres and every target reference, the minimum over both.

    Raises:
        ConfigError: a parameter outside its range.
    """
    at_least("n_clusters", n_clusters, 1)
    at_least("seed", seed, 0)
    return CosineBackend.fit(_as_one_clip(references), n_clusters=n_clusters, seed=seed)


def fit_density(
    references: References, *, metric: str = "cosine", n_neighbours: int = 1, max_ratio: float = 2.0
) -> DensityBackend:
    """Shipped ``density``: distance to the nearest reference relative to the local density.

    Raises:
        ConfigError: a parameter outside its range.
    """
    one_of("metric", metric, METRICS)
    at_least("n_neighbours", n_neighbours, 1)
    at_least("max_ratio", max_ratio, 1.0)
    return DensityBackend.fit(references, metric=metric, n_neighbours=n_neighbours, max_ratio=max_ratio)


def fit_shrinkage(references: References, *, standardise: bool = False) -> ShrinkageBackend:
    """Shipped ``shrinkage``: Ledoit-Wolf Mahalanobis distance, a mean per domain."""
    return ShrinkageBackend.fit(_as_one_clip(references), standardise=standardise)


def _as_one_clip(references: References) -> References:
    return References(references.vectors, references.domains, np.zeros(len(references), np.int64))
