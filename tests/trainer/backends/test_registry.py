"""What holds for every back end, and how names and parameters are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import ConfigError
from edged.score.references import SOURCE, References
from tests.trainer.backends.made import DIM, QUERIES, REFERENCES, needed
from trainer.backends.domains import DOMAINS
from trainer.backends.registry import BACKEND_NAMES, ENTRIES, fit_backend

EVERY = pytest.mark.parametrize("name", BACKEND_NAMES)
DISTANCES = {
    "nearest-10": {"k": 1},
    "kmeans-cosine": {"n_clusters": 100},
    "density-cosine": {},
    "density-euclidean": {},
}
"""Those that are 0 at a reference and nowhere less."""


@EVERY
def test_one_finite_float64_per_query(name: str) -> None:
    fitted = fit_backend(name, REFERENCES, **needed(name))
    distance = fitted.distance(QUERIES)
    assert distance.shape == (len(QUERIES),)
    assert distance.dtype == np.float64
    assert np.isfinite(distance).all()
    np.testing.assert_allclose(fitted.distance(QUERIES[:1]), distance[:1], rtol=1e-7, atol=1e-12)
    assert fitted.distance(np.empty((0, DIM))).shape == (0,)


@EVERY
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("same", [True, False])
def test_few_or_equal_references_give_finite_distances(name: str, n: int, same: bool) -> None:
    vectors = np.full((n, DIM), 0.3, np.float32) if same else REFERENCES.vectors[:n]
    references = References(vectors, (SOURCE,) * n, np.arange(n))
    distance = fit_backend(name, references, **needed(name)).distance(np.r_[QUERIES, vectors, np.zeros((1, DIM))])
    assert np.isfinite(distance).all()


@pytest.mark.parametrize("name", [n for n in BACKEND_NAMES if n not in {"softmax", "cosine-to-centres"}])
@pytest.mark.parametrize("n", [1, 4])
def test_equal_references_still_tell_far_from_near(name: str, n: int) -> None:
    along, across = np.eye(DIM)[:2]
    references = References(np.tile(along.astype(np.float32), (n, 1)), (SOURCE,) * n, np.arange(n))
    fitted = fit_backend(name, references, **needed(name))
    near, far, opposite = fitted.distance(np.stack([along, along + across, -along]))
    assert near < far < opposite


@pytest.mark.parametrize("name", [n for n in BACKEND_NAMES if n != "kmeans-cosine"])
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_the_references_decides_nothing(name: str, seed: int) -> None:
    """The shipped k-means draws its starts by row number and is not asked."""
    shuffled = REFERENCES.select(np.random.default_rng(seed).permutation(len(REFERENCES)))
    before, after = (fit_backend(name, r, **needed(name)).distance(QUERIES) for r in (REFERENCES, shuffled))
    np.testing.assert_allclose(after, before, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", DISTANCES)
@given(row=st.integers(0, len(REFERENCES) - 1))
def test_nothing_is_nearer_than_a_reference(name: str, row: int) -> None:
    distance = fit_backend(name, REFERENCES, **DISTANCES[name]).distance(np.r_[REFERENCES.vectors[[row]], QUERIES])
    assert distance[0] == pytest.approx(0.0, abs=1e-6)
    assert distance[0] <= distance[1:].min()


@EVERY
def test_vectors_of_another_shape_are_refused(name: str) -> None:
    fitted = fit_backend(name, REFERENCES, **needed(name))
    with pytest.raises(ValueError):  # noqa: PT011 - the shipped ones say it in numpy's words
        fitted.distance(np.ones((3, DIM + 2)))


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.by_domain])
@pytest.mark.parametrize("domains", DOMAINS)
def test_every_domain_works(name: str, domains: str) -> None:
    assert np.isfinite(fit_backend(name, REFERENCES, domains=domains, **needed(name)).distance(QUERIES)).all()


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'knn'.*nearest-10.*gmm"):
        fit_backend("knn", REFERENCES)


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("gmm", {"components": 3}, "n_components, reg_covar"),
        ("gaussian-full", {"covariance": "full"}, "'covariance'"),
        ("cosine-to-mean", {"k": 3}, "it has domains"),
        ("softmax", {"own_classes": [0], "domains": "joint"}, "'domains'"),
        ("softmax", {}, "own_classes"),
        ("plda", {}, "training_vectors and training_labels"),
        ("gmm", {"n_components": 0}, "n_components"),
        ("gmm", {"n_components": "16"}, "whole number"),
        ("gmm", {"n_components": True}, "whole number"),
        ("gmm", {"n_components": 2.5}, "whole number"),
        ("gmm", {"reg_covar": 0.0}, "reg_covar"),
        ("gmm", {"reg_covar": float("nan")}, "reg_covar"),
        ("gmm", {"seed": -1}, "seed"),
        ("gaussian-diagonal", {"reg_covar": float("inf")}, "reg_covar"),
        ("gaussian-full", {"unit_length": "no"}, "true or false"),
        ("nearest-10", {"k": 0}, "'k'"),
        ("lof", {"n_neighbours": 0}, "n_neighbours"),
        ("lof", {"metric": "manhattan"}, "euclidean, cosine"),
        ("kmeans-cosine", {"n_clusters": 0}, "n_clusters"),
        ("density-cosine", {"max_ratio": 0.5}, "max_ratio"),
        ("density-cosine", {"metric": "euclidean"}, "'metric'"),
        ("shrinkage", {"standardise": 1}, "true or false"),
        ("mahalanobis", {"domains": "all"}, "minimum"),
        ("mahalanobis", {"domains": 3}, "a word"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(name: str, params: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        fit_backend(name, REFERENCES, **params)


def test_numbers_of_numpy_are_numbers() -> None:
    fit_backend("gmm", REFERENCES, n_components=np.int64(2), reg_covar=np.float32(0.01))
