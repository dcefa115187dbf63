"""The adapters give the shipped back ends' distances, bit for bit."""

import numpy as np
import pytest

from edged.score.backend import Backend
from edged.score.cosine import CosineBackend
from edged.score.density import DensityBackend
from edged.score.shrinkage import ShrinkageBackend
from tests.trainer.backends.made import QUERIES, REFERENCES
from trainer.backends.leave_out import leave_out_distances
from trainer.backends.registry import fit_backend

SHIPPED = {
    "kmeans-cosine": (CosineBackend.fit(REFERENCES, n_clusters=4), {"n_clusters": 4}),
    "density-cosine": (DensityBackend.fit(REFERENCES, metric="cosine", n_neighbours=2), {"n_neighbours": 2}),
    "density-euclidean": (DensityBackend.fit(REFERENCES, max_ratio=3.0), {"max_ratio": 3.0}),
    "shrinkage": (ShrinkageBackend.fit(REFERENCES, standardise=True), {"standardise": True}),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_distances_are_the_daemons(name: str) -> None:
    """Clips of two rows: what is close only within a clip must not change the density here either."""
    shipped, params = SHIPPED[name]
    got = fit_backend(name, REFERENCES, **params).distance(QUERIES)
    np.testing.assert_array_equal(got, shipped.distance(QUERIES))


@pytest.mark.parametrize("name", SHIPPED)
def test_leave_out_distances_are_the_daemons_where_every_clip_has_its_fold(name: str) -> None:
    shipped: Backend
    shipped, params = SHIPPED[name]
    got = leave_out_distances(name, REFERENCES, n_folds=40, **params)
    np.testing.assert_allclose(got, shipped.leave_clip_out(), rtol=1e-9)


def test_for_the_cosine_the_minimum_over_domains_is_the_joint_model() -> None:
    """Thesis 5.3.1 and Table 19."""
    joint, minimum = (fit_backend("kmeans-cosine", REFERENCES, n_clusters=4, domains=d) for d in ("joint", "minimum"))
    np.testing.assert_allclose(minimum.distance(QUERIES), joint.distance(QUERIES), atol=1e-12)
