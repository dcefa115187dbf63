"""Mahalanobis distance against scikit-learn's Ledoit-Wolf estimator, and the covariances it rests on."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from edged.score.references import SOURCE, References
from tests.trainer.backends.made import DIM, QUERIES, make_references, unit_rows
from trainer.backends.covariance import shrunk_covariance, whitening
from trainer.backends.mahalanobis import MahalanobisBackend


@pytest.mark.parametrize("unit_length", [True, False])
def test_it_is_scikit_learns_ledoit_wolf(unit_length: bool) -> None:
    references = make_references(n_source=60, n_target=0)
    x, queries = ((unit_rows(v) if unit_length else v.astype(float)) for v in (references.vectors, QUERIES))
    theirs = LedoitWolf(store_precision=True).fit(x)
    assert theirs.shrinkage_ > 1.0 / 60
    fitted = MahalanobisBackend.fit(references, unit_length=unit_length)
    np.testing.assert_allclose(fitted.distance(QUERIES), np.sqrt(theirs.mahalanobis(queries)), rtol=1e-9)


@pytest.mark.parametrize("copies", [1, 5])
def test_without_spread_it_is_the_euclidean_distance(copies: int) -> None:
    """A covariance of zeros made everything infinitely far, or not far at all."""
    same = References(np.full((copies, DIM), 0.1, np.float32), (SOURCE,) * copies, np.arange(copies))
    expected = np.linalg.norm(QUERIES.astype(float) - np.float32(0.1), axis=1)
    np.testing.assert_allclose(MahalanobisBackend.fit(same, unit_length=False).distance(QUERIES), expected, rtol=1e-12)


def test_two_references_do_not_make_the_other_directions_infinitely_narrow() -> None:
    two = make_references(n_source=2, n_target=0)
    distance = MahalanobisBackend.fit(two).distance(QUERIES)
    assert distance.max() < 100.0 * MahalanobisBackend.fit(two).distance(two.vectors).max()


def test_whitening_inverts() -> None:
    a = np.random.default_rng(0).standard_normal((DIM, DIM))
    covariance = a @ a.T + 0.1 * np.eye(DIM)
    w, log_determinant = whitening(covariance)
    np.testing.assert_allclose(w @ w.T, np.linalg.inv(covariance), rtol=1e-8)
    assert log_determinant == pytest.approx(np.linalg.slogdet(covariance)[1], rel=1e-10)


def test_whitening_survives_a_singular_matrix() -> None:
    w, log_determinant = whitening(np.ones((3, 3)))
    assert np.isfinite(w).all()
    assert np.isfinite(log_determinant)


def test_shrinkage_keeps_the_average_variance_and_has_a_floor() -> None:
    x = np.random.default_rng(0).standard_normal((3, DIM))
    shrunk = shrunk_covariance(x, x.mean(axis=0))
    empirical = np.cov(x.T, bias=True)
    assert np.trace(shrunk) == pytest.approx(np.trace(empirical))
    assert np.linalg.eigvalsh(shrunk)[0] >= np.trace(empirical) / DIM / 3 - 1e-12
