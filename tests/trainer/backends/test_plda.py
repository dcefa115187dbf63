"""PLDA against the two Gaussian hypotheses written out on the stacked vector, and its estimates against loops."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from edged.errors import ConfigError
from edged.score.references import References
from tests.trainer.backends.made import DIM, QUERIES, REFERENCES, make_training, needed, unit_rows
from trainer.backends.plda import PldaBackend, TwoCovariances, two_covariances


def slow_ratio(query: np.ndarray, enrolled: np.ndarray, model: TwoCovariances) -> float:
    """log p(query, enrolled | one class) - log p(query | a class) - log p(enrolled | a class)."""

    def log_density(x: np.ndarray) -> float:
        n = len(x)
        covariance = np.kron(np.ones((n, n)), model.between) + np.kron(np.eye(n), model.within)
        return float(multivariate_normal(np.tile(model.mean, n), covariance).logpdf(x.ravel()))

    return log_density(np.vstack([query, enrolled])) - log_density(query[None]) - log_density(enrolled)


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("rank", [DIM, 2])
def test_distance_is_minus_the_ratio_of_the_two_hypotheses(n: int, rank: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal((2, DIM, DIM))
    model = TwoCovariances(rng.standard_normal(DIM), a[:, :rank] @ a[:, :rank].T, b @ b.T + 0.5 * np.eye(DIM))
    enrolled, queries = rng.standard_normal((n, DIM)), 2.0 * rng.standard_normal((5, DIM))
    expected = [-slow_ratio(query, enrolled, model) for query in queries]
    fitted = PldaBackend.enrolled(model, enrolled, unit_length=False)
    np.testing.assert_allclose(fitted.distance(queries), expected, rtol=1e-8, atol=1e-8)


def test_fit_uses_the_trained_model_on_unit_vectors() -> None:
    vectors, labels = make_training()
    model = two_covariances(unit_rows(vectors), labels)
    expected = [-slow_ratio(q, unit_rows(REFERENCES.vectors), model) for q in unit_rows(QUERIES)]
    fitted = PldaBackend.fit(REFERENCES, training_vectors=vectors, training_labels=labels.astype(str))
    np.testing.assert_allclose(fitted.distance(QUERIES), expected, rtol=1e-7)


def test_estimates_approach_what_drew_the_training_vectors() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3, 3))
    between, within = a @ a.T, b @ b.T
    labels = np.repeat(np.arange(4000), rng.integers(1, 6, 4000))
    means = rng.multivariate_normal([1.0, 2.0, 3.0], between, 4000)
    vectors = means[labels] + rng.multivariate_normal(np.zeros(3), within, len(labels))
    model = two_covariances(vectors, labels)
    for estimate, truth in ((model.between, between), (model.within, within), (model.mean, [1.0, 2.0, 3.0])):
        np.testing.assert_allclose(estimate, truth, atol=0.06 * np.abs(truth).max())


def test_estimates_of_equal_classes_are_the_textbook_ones() -> None:
    """One dimension, where nothing is shrunk: mean squares of the one-way analysis of variance."""
    x = np.array([1.0, 2.0, 3.0, 6.0, 7.0, 8.0, 0.0, 2.0, 4.0])
    groups = x.reshape(3, 3)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (9 - 3)
    between = (3 * ((groups.mean(axis=1) - x.mean()) ** 2).sum() / 2 - within) / 3
    model = two_covariances(x[:, None], np.repeat([0, 1, 2], 3))
    assert model.within[0, 0] == pytest.approx(within)
    assert model.between[0, 0] == pytest.approx(between)


def test_classes_without_spread_still_tell_apart() -> None:
    vectors, labels = np.repeat(np.eye(DIM), 3, axis=0), np.repeat(np.arange(DIM), 3)
    references = References(np.eye(DIM, dtype=np.float32)[:1], ("source",), np.arange(1))
    distance = PldaBackend.fit(references, training_vectors=vectors, training_labels=labels).distance(np.eye(DIM))
    assert np.isfinite(distance).all()
    assert distance[0] < 0.0 < distance[1:].min()


@pytest.mark.parametrize(
    "change",
    [
        {"training_vectors": np.ones((88, DIM + 1))},
        {"training_vectors": np.full((88, DIM), np.nan)},
        {"training_labels": [0] * 88},
        {"training_labels": range(88)},
        {"training_labels": [0, 1]},
    ],
)
def test_training_data_that_does_not_fit_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="training_"):
        PldaBackend.fit(REFERENCES, **{**needed("plda"), **change})
