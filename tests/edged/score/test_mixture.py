"""Mixtures against scikit-learn and the formula; what few rows get; domains."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from edged.errors import EnrolmentError, StateError
from edged.score.em import Points, Prior, expectation_maximisation, log_sum_exp
from edged.score.kmeans import kmeans_labels
from edged.score.mixture import MixtureBackend
from edged.score.references import SOURCE, References
from edged.score.shrinkage import ShrinkageBackend

DIM = 4
RNG = np.random.default_rng(11)
SPREADS = np.array([[1.0, 0.2, 2.0, 0.5], [0.3, 1.5, 0.6, 1.0], [0.8, 0.8, 0.2, 2.0]])
CENTRES = np.array([[0.0, 0.0, 0.0, 0.0], [4.0, 3.0, 0.0, 2.0], [-3.0, 4.0, 3.0, -3.0]])
WHICH = RNG.choice(3, 240, p=[0.5, 0.3, 0.2])
ROWS = (CENTRES[WHICH] + SPREADS[WHICH] * RNG.standard_normal((240, DIM))).astype(np.float32)
QUERIES = (RNG.standard_normal((11, DIM)) * 4).astype(np.float32)


def references(rows: np.ndarray = ROWS, n_target: int = 0) -> References:
    n = len(rows)
    return References(rows.astype(np.float32), (SOURCE,) * (n - n_target) + ("night",) * n_target, np.arange(n))


def test_without_regularisation_it_is_scikit_learns_mixture() -> None:
    rows = ROWS.astype(np.float64)
    points = Points(rows, np.zeros(len(rows)), DIM)
    labels = kmeans_labels(rows, 3)
    ours = expectation_maximisation(points, labels, Prior(np.eye(DIM), 0.0, 0.0, 0.0), n_iterations=1000)
    shares = np.eye(3)[labels]
    means = shares.T @ rows / shares.sum(axis=0)[:, None]
    precisions = [np.linalg.inv(np.cov(rows[labels == k].T, bias=True)) for k in range(3)]
    theirs = GaussianMixture(
        3, tol=1e-9, reg_covar=0.0, max_iter=1000, means_init=means, weights_init=shares.mean(axis=0),
        precisions_init=precisions,
    ).fit(rows)  # fmt: skip
    queries = Points(QUERIES.astype(np.float64), np.zeros(len(QUERIES)), DIM)
    got = log_sum_exp(ours.log_densities(queries)) - 0.5 * DIM * np.log(2 * np.pi)
    np.testing.assert_allclose(got, theirs.score_samples(QUERIES), rtol=0.01)
    np.testing.assert_allclose(np.sort(np.exp(ours.log_weights)), np.sort(theirs.weights_), atol=0.005)


def test_the_distance_is_the_density_of_a_shrunk_gaussian() -> None:
    backend = MixtureBackend.fit(references(), n_components=1, prior_rows=0.0, shrinkage=0.25)
    rows = ROWS.astype(np.float64)
    covariance = 0.75 * np.cov(rows.T, bias=True) + 0.25 * np.trace(np.cov(rows.T, bias=True)) / DIM * np.eye(DIM)
    gaussian = multivariate_normal(rows.mean(axis=0), covariance)
    excess = gaussian.logpdf(rows.mean(axis=0)) - gaussian.logpdf(QUERIES.astype(np.float64))
    np.testing.assert_allclose(backend.distance(QUERIES), np.sqrt(2 * excess / DIM), rtol=1e-9)


def test_more_dimensions_than_rows_give_the_shrinkage_back_ends_distance() -> None:
    """One domain, one component, the same shrinkage: the determinant is constant, so the two are one."""
    rows = RNG.standard_normal((8, 300)).astype(np.float32)
    given = References(rows, (SOURCE,) * 8, np.arange(8))
    queries = RNG.standard_normal((5, 300))
    expected = ShrinkageBackend.fit(given).distance(queries)
    np.testing.assert_allclose(MixtureBackend.fit(given, n_components=1).distance(queries), expected, rtol=1e-8)


def test_vectors_beyond_the_largest_rank_keep_what_lies_outside() -> None:
    rows = RNG.standard_normal((400, 300)) * np.linspace(2.0, 0.5, 300)
    backend = MixtureBackend.fit(References(rows.astype(np.float32), (SOURCE,) * 400, np.arange(400) // 200))
    assert backend.directions.shape == (128, 300)
    across = np.linalg.svd(backend.directions)[2][-1]  # orthogonal to all directions
    far = backend.centre + 100.0 * across
    assert backend.distance(far[None])[0] > 5.0 * backend.distance(backend.centre[None])[0]


def test_components_need_rows() -> None:
    counts = {n: len(MixtureBackend.fit(references(ROWS[:n])).domains) for n in (5, 19, 20, 45, 240)}
    assert counts == {5: 1, 19: 1, 20: 2, 45: 4, 240: 4}


def test_several_components_beat_one_where_sound_has_several_states() -> None:
    between = CENTRES[:2].mean(axis=0)[None]
    ratio = {}
    for n_components in (1, 3):
        backend = MixtureBackend.fit(references(), n_components=n_components)
        ratio[n_components] = backend.distance(between)[0] / np.median(backend.leave_clip_out())
    assert ratio[3] > 1.3 > ratio[1]


def test_an_isolated_domain_of_two_clips_does_not_make_everything_look_near() -> None:
    """Their covariance reaches over what lies between them and around; its determinant must count against it."""
    source = RNG.standard_normal((60, DIM))
    odd = np.array([[40.0, 0, 0, 0], [0, 40.0, 0, 0]])
    backend = MixtureBackend.fit(references(np.r_[source, odd], n_target=2))
    anomaly = np.array([[20.0, 20.0, 8.0, 0.0]])
    assert backend.distance(anomaly)[0] > 1.2 * np.nanmax(backend.leave_clip_out()[:60])


@pytest.mark.parametrize(
    "wrong",
    [{"n_components": 0}, {"rows_per_component": 0}, {"prior_rows": -1.0}, {"shrinkage": 1.5}, {"seed": -1}],
)
def test_parameters_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(EnrolmentError):
        MixtureBackend.fit(references(), **wrong)


def test_damaged_components_are_refused() -> None:
    arrays = MixtureBackend.fit(references()).to_arrays()
    with pytest.raises(StateError):
        MixtureBackend.from_arrays({**arrays, "whiteners": np.full((1, DIM, DIM), np.nan)})


def test_kmeans_labels_have_no_holes_and_survive_equal_rows() -> None:
    assert set(kmeans_labels(np.ones((6, 2)), 3)) == {0}
    labels = kmeans_labels(ROWS.astype(np.float64), 3, seed=2)
    assert set(labels) == {0, 1, 2}
    np.testing.assert_array_equal(labels, kmeans_labels(ROWS.astype(np.float64), 3, seed=2))
