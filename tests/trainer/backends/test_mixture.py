"""The mixture against a density written out, its independence of order and its behaviour with few samples."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, spearmanr

from edged.errors import ConfigError
from edged.score.references import SOURCE, References
from tests.trainer.backends.made import DIM, QUERIES, REFERENCES, cosine_distance, unit_rows
from trainer.backends.gaussian import GaussianBackend
from trainer.backends.mixture import MixtureBackend


def test_distance_is_minus_the_log_of_the_weighted_densities() -> None:
    fitted = MixtureBackend.fit(REFERENCES, n_components=3)
    model = fitted.model
    parts = [multivariate_normal(m, c) for m, c in zip(model.means_, model.covariances_, strict=True)]
    queries = unit_rows(QUERIES)
    logs = [np.log(w) + part.logpdf(queries) for w, part in zip(model.weights_, parts, strict=True)]
    np.testing.assert_allclose(fitted.distance(QUERIES), -logsumexp(logs, axis=0), rtol=1e-9)


def test_one_component_is_the_full_gaussian() -> None:
    mixture = MixtureBackend.fit(REFERENCES, n_components=1).distance(QUERIES)
    np.testing.assert_allclose(mixture, GaussianBackend.fit(REFERENCES).distance(QUERIES), rtol=1e-8)


def test_the_order_of_the_references_decides_nothing() -> None:
    """K-means draws its starts by row number: another order gave another mixture."""
    fitted = MixtureBackend.fit(REFERENCES, n_components=5).distance(QUERIES)
    for seed in range(5):
        shuffled = REFERENCES.select(np.random.default_rng(seed).permutation(len(REFERENCES)))
        np.testing.assert_array_equal(MixtureBackend.fit(shuffled, n_components=5).distance(QUERIES), fitted)


def test_fewer_references_than_components_order_as_the_nearest_does() -> None:
    """Thesis 5.3.2: for the target domain both back ends are equivalent."""
    few = REFERENCES.select(np.arange(8))
    fitted = MixtureBackend.fit(few, n_components=16)
    assert fitted.model.n_components == 8
    queries = np.random.default_rng(1).standard_normal((100, DIM))
    nearest = [min(cosine_distance(q, y) for y in few.vectors) for q in queries]
    assert spearmanr(fitted.distance(queries), nearest).statistic > 0.999


@pytest.mark.filterwarnings("error")
def test_copies_count_as_one_component() -> None:
    """Scikit-learn warns when k-means finds fewer distinct points than clusters."""
    copies = References(np.repeat(np.eye(DIM, dtype=np.float32)[:2], 10, axis=0), (SOURCE,) * 20, np.arange(20))
    fitted = MixtureBackend.fit(copies, n_components=16)
    assert fitted.model.n_components == 2
    assert fitted.distance(np.eye(DIM)[[0, 1, 2]]).argmax() == 2


def test_means_start_at_the_given_centres() -> None:
    """From far-off centres that k-means would not choose, another optimum is found."""
    rng = np.random.default_rng(0)
    points = np.eye(DIM)[rng.integers(3, size=90)] + 0.1 * rng.standard_normal((90, DIM))
    references = References(points.astype(np.float32), (SOURCE,) * 90, np.arange(90))
    centres = np.stack([np.eye(DIM)[0], np.eye(DIM)[1] + np.eye(DIM)[2]])
    found = MixtureBackend.fit(references, n_components=2, centres=5.0 * centres).model.means_
    assert [cosine_distance(m, c) < 0.02 for m, c in zip(found, centres, strict=True)] == [True, True]
    swapped = MixtureBackend.fit(references, n_components=2, centres=centres[::-1]).model.means_
    np.testing.assert_allclose(swapped, found[::-1], atol=1e-3)


def test_centres_for_another_number_of_components_are_refused() -> None:
    with pytest.raises(ConfigError, match="centres"):
        MixtureBackend.fit(REFERENCES, n_components=3, centres=np.eye(DIM)[:2])
