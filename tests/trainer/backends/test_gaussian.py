"""Gaussians against scipy's densities and scikit-learn's one-component mixtures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, ortho_group, spearmanr
from sklearn.mixture import GaussianMixture

from edged.errors import ConfigError
from edged.score.references import SOURCE, References
from tests.trainer.backends.made import DIM, QUERIES, REFERENCES, unit_rows
from trainer.backends.cosine_to_centres import fit_mean
from trainer.backends.gaussian import COVARIANCES, GaussianBackend


def slow_covariance(x: np.ndarray, kind: str, reg: float) -> np.ndarray:
    mean = x.mean(axis=0)
    full = sum(np.outer(row - mean, row - mean) for row in x) / len(x)
    diagonal = np.diag(full)
    kinds = {"full": full, "diagonal": np.diag(diagonal), "spherical": np.eye(len(full)) * diagonal.mean()}
    return kinds[kind] + reg * np.eye(len(full))


@pytest.mark.parametrize("kind", COVARIANCES)
@pytest.mark.parametrize("unit_length", [True, False])
def test_distance_is_minus_the_log_density(kind: str, unit_length: bool) -> None:
    fitted = GaussianBackend.fit(REFERENCES, covariance=kind, reg_covar=0.01, unit_length=unit_length)
    x, queries = ((unit_rows(v) if unit_length else v.astype(float)) for v in (REFERENCES.vectors, QUERIES))
    density = multivariate_normal(x.mean(axis=0), slow_covariance(x, kind, 0.01))
    np.testing.assert_allclose(fitted.distance(QUERIES), -density.logpdf(queries), rtol=1e-10)


@pytest.mark.parametrize("kind", COVARIANCES)
def test_it_is_scikit_learns_gaussian(kind: str) -> None:
    x, queries = unit_rows(REFERENCES.vectors), unit_rows(QUERIES)
    theirs = GaussianMixture(1, covariance_type=kind.replace("diagonal", "diag"), reg_covar=1e-3).fit(x)
    fitted = GaussianBackend.fit(REFERENCES, covariance=kind)
    np.testing.assert_allclose(fitted.distance(QUERIES), -theirs.score_samples(queries), rtol=1e-8)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_references_leave_the_regularisation_in_the_other_directions(n: int) -> None:
    x = np.random.default_rng(3).standard_normal((n, 40))
    references = References(x.astype(np.float32), (SOURCE,) * n, np.arange(n))
    x = unit_rows(references.vectors)
    query = np.random.default_rng(4).standard_normal((1, 40))
    density = multivariate_normal(x.mean(axis=0), slow_covariance(x, "full", 1e-3))
    np.testing.assert_allclose(GaussianBackend.fit(references).distance(query), -density.logpdf(unit_rows(query)))


def test_a_spherical_gaussian_of_unit_vectors_orders_as_the_cosine_does() -> None:
    """Lemma 3.1."""
    queries = np.random.default_rng(2).standard_normal((200, DIM))
    gaussian = GaussianBackend.fit(REFERENCES, covariance="spherical").distance(queries)
    assert spearmanr(gaussian, fit_mean(REFERENCES).distance(queries)).statistic == pytest.approx(1.0, abs=1e-12)


@given(st.integers(0, 10_000), st.sampled_from(["spherical", "full"]), st.booleans())
def test_a_rotation_changes_nothing(seed: int, kind: str, unit_length: bool) -> None:
    rotation = ortho_group.rvs(DIM, random_state=seed)
    turned = References((REFERENCES.vectors @ rotation).astype(np.float32), REFERENCES.domains, REFERENCES.clips)
    before = GaussianBackend.fit(REFERENCES, covariance=kind, unit_length=unit_length).distance(QUERIES)
    after = GaussianBackend.fit(turned, covariance=kind, unit_length=unit_length).distance(QUERIES @ rotation)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)  # references are float32


def test_a_diagonal_gaussian_depends_on_the_axes() -> None:
    """Or the property above would say nothing."""
    rotation = ortho_group.rvs(DIM, random_state=0)
    turned = References((REFERENCES.vectors @ rotation).astype(np.float32), REFERENCES.domains, REFERENCES.clips)
    before = GaussianBackend.fit(REFERENCES, covariance="diagonal").distance(QUERIES)
    after = GaussianBackend.fit(turned, covariance="diagonal").distance(QUERIES @ rotation)
    assert np.abs(after - before).max() > 0.1


def test_statistics_of_very_different_sizes_stay_finite() -> None:
    x = np.random.default_rng(0).standard_normal((4, DIM)) * 10.0 ** np.arange(DIM)
    references = References(x.astype(np.float32), (SOURCE,) * 4, np.arange(4))
    distance = GaussianBackend.fit(references, reg_covar=1e-12, unit_length=False).distance(np.r_[x, 10 * x])
    assert np.isfinite(distance).all()
    assert distance[4:].min() > distance[:4].max()


def test_a_full_covariance_of_a_spectrum_is_refused_and_a_diagonal_one_is_not() -> None:
    spectra = References(np.ones((2, 80_000), np.float32), (SOURCE,) * 2, np.arange(2))
    with pytest.raises(ConfigError, match="too large"):
        GaussianBackend.fit(spectra)
    assert np.isfinite(GaussianBackend.fit(spectra, covariance="diagonal").distance(spectra.vectors)).all()
