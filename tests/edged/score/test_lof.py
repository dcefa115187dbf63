"""The local outlier factor against scikit-learn and a slow loop; domains and isolated references."""

import numpy as np
import pytest
from sklearn.neighbors import LocalOutlierFactor

from edged.errors import EnrolmentError, StateError
from edged.score.lof import LofBackend
from edged.score.references import SOURCE, References

DIM = 6
RNG = np.random.default_rng(3)
VECTORS = (RNG.standard_normal((40, DIM)) * np.repeat([0.3, 2.0], 20)[:, None] + 4.0).astype(np.float32)
QUERIES = (RNG.standard_normal((9, DIM)) * 3 + 4).astype(np.float32)


def references(vectors: np.ndarray = VECTORS, rows_per_clip: int = 1, n_target: int = 0) -> References:
    n = len(vectors)
    domains = (SOURCE,) * (n - n_target) + ("night",) * n_target
    return References(vectors.astype(np.float32), domains, np.arange(n) // rows_per_clip)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 5, 39, 100])
def test_with_one_domain_and_no_limit_it_is_scikit_learns(metric: str, k: int) -> None:
    backend = LofBackend.fit(references(), metric=metric, n_neighbours=k, max_ratio=1e9)
    theirs = LocalOutlierFactor(n_neighbors=min(k, 39), metric=metric, novelty=True, algorithm="brute")
    theirs.fit(VECTORS.astype(np.float64))
    if k < 40:  # scikit-learn takes a query's neighbours from n - 1 references at most
        np.testing.assert_allclose(backend.distance(QUERIES), -theirs.score_samples(QUERIES), rtol=1e-6)
    np.testing.assert_allclose(1.0 / backend.sparsity, theirs._lrd, rtol=1e-6)


def slow_factor(query: np.ndarray, members: np.ndarray, clips: np.ndarray, domains: list[str], k: int) -> float:
    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.linalg.norm(a.astype(np.float64) - b.astype(np.float64)))

    def neighbours(i: int) -> list[int]:
        others = [j for j in range(len(members)) if domains[j] == domains[i] and clips[j] != clips[i]]
        return sorted(others, key=lambda j: distance(members[i], members[j]))[:k]

    radius = [distance(members[i], members[neighbours(i)[-1]]) for i in range(len(members))]
    sparsity = [
        np.mean([max(radius[j], distance(members[i], members[j])) for j in neighbours(i)]) for i in range(len(members))
    ]
    factors = []
    for domain in set(domains):
        own = [j for j in range(len(members)) if domains[j] == domain]
        nearest = sorted(own, key=lambda j: distance(query, members[j]))[:k]
        reach = np.mean([max(radius[j], distance(query, members[j])) for j in nearest])
        factors.append(reach * np.mean([1.0 / sparsity[j] for j in nearest]))
    return float(min(factors))


def test_neighbours_are_of_other_clips_and_of_the_own_domain() -> None:
    given = references(rows_per_clip=2, n_target=6)
    backend = LofBackend.fit(given, n_neighbours=3, max_ratio=1e9)
    expected = [slow_factor(q, given.vectors, given.clips, list(given.domains), 3) for q in QUERIES]
    np.testing.assert_allclose(backend.distance(QUERIES), expected, rtol=1e-6)


def test_a_few_clips_of_a_far_domain_are_not_outvoted_by_the_source() -> None:
    """Neighbours were once taken from all domains: four target clips were outvoted by six source clips in ten."""
    target = RNG.standard_normal((4, DIM)) * 0.5 + 30.0
    backend = LofBackend.fit(references(np.r_[VECTORS[20:], target], n_target=4), n_neighbours=10)
    assert backend.distance(RNG.standard_normal((1, DIM)) * 0.5 + 30.0)[0] < 2.0


def test_an_isolated_reference_does_not_make_everything_look_near() -> None:
    planted = np.r_[RNG.standard_normal((30, DIM)), np.full((1, DIM), 60.0), np.full((1, DIM), -60.0)]
    given = References(planted.astype(np.float32), (SOURCE,) * 30 + ("odd",) * 2, np.arange(32))
    anomaly = np.full((1, DIM), 30.0)
    assert LofBackend.fit(given, n_neighbours=1, max_ratio=1e9).distance(anomaly)[0] < 2.0
    assert LofBackend.fit(given, n_neighbours=1, max_ratio=2.0).distance(anomaly)[0] > 10.0


@pytest.mark.parametrize("wrong", [{"metric": "taxi"}, {"n_neighbours": 0}, {"max_ratio": 0.5}])
def test_parameters_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(EnrolmentError):
        LofBackend.fit(references(), **wrong)


def test_an_unknown_stored_metric_is_refused() -> None:
    arrays = LofBackend.fit(references()).to_arrays()
    with pytest.raises(StateError, match="metric"):
        LofBackend.from_arrays({**arrays, "metric": np.array([7])})
