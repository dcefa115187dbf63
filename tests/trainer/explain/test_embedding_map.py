"""The map of the embedding space: keeps groups together, is the same every time, and takes any number of clips."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from edged.errors import UsageError
from trainer.explain.embedding_map import embedding_map, nearest_normal_distance


def groups(rng: np.random.Generator, n_each: int = 20, dim: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Three directions with a little noise, at random lengths: vectors and group numbers."""
    centres = np.eye(dim)[:3]
    labels = np.repeat([0, 1, 2], n_each)
    vectors = centres[labels] + 0.05 * rng.standard_normal((3 * n_each, dim))
    return vectors * rng.uniform(0.1, 10.0, (len(vectors), 1)), labels


def slow_nearest(points: np.ndarray, is_anomalous: np.ndarray) -> float:
    gaps = [min(np.hypot(*(a - b)) for b in points[~is_anomalous]) for a in points[is_anomalous]]
    return sum(gaps) / len(gaps)


def test_groups_stay_together_whatever_the_length_of_the_vectors() -> None:
    vectors, labels = groups(np.random.default_rng(0))
    points = embedding_map(vectors)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    assert (labels[gaps.argmin(axis=1)] == labels).all()
    assert points.shape == (60, 2)
    assert points.dtype == np.float64


def test_length_does_not_count() -> None:
    vectors, _ = groups(np.random.default_rng(1), n_each=4)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    powers_of_two = 2.0 ** np.round(np.log2(lengths))  # exact, so that the bits of the unit vectors are the same
    np.testing.assert_array_equal(embedding_map(vectors), embedding_map(vectors * powers_of_two))


def test_the_same_call_gives_the_same_bits_and_another_seed_another_trial() -> None:
    vectors, _ = groups(np.random.default_rng(2))
    first = embedding_map(vectors, seed=3)
    np.testing.assert_array_equal(first, embedding_map(vectors, seed=3))
    assert not np.array_equal(first, embedding_map(vectors, seed=4))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 9])
def test_few_vectors_have_a_map(n: int) -> None:
    points = embedding_map(np.random.default_rng(n).standard_normal((n, 8)))
    assert points.shape == (n, 2)
    assert np.isfinite(points).all()


def test_four_vectors_lie_on_their_principal_axes() -> None:
    vectors = np.random.default_rng(0).standard_normal((4, 8))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = PCA(2).fit_transform(vectors / lengths)
    np.testing.assert_allclose(np.abs(embedding_map(vectors)), np.abs(expected), atol=1e-12)


def test_identical_vectors_do_not_break_the_map() -> None:
    """scikit-learn's own PCA start divides by their spread, which is zero."""
    assert np.isfinite(embedding_map(np.ones((12, 4)))).all()
    assert np.isfinite(embedding_map(np.zeros((12, 1)))).all()


@pytest.mark.parametrize("vectors", [np.empty((0, 4)), np.zeros(4), np.full((6, 2), np.nan)])
def test_what_is_no_set_of_vectors_is_refused(vectors: np.ndarray) -> None:
    with pytest.raises(UsageError, match="finite"):
        embedding_map(vectors)


def test_distance_of_table_21_equals_the_loop() -> None:
    rng = np.random.default_rng(5)
    points, is_anomalous = rng.standard_normal((30, 2)), np.arange(30) % 3 == 0
    assert nearest_normal_distance(points, is_anomalous) == pytest.approx(slow_nearest(points, is_anomalous), abs=1e-9)


@pytest.mark.parametrize("value", [True, False])
def test_distance_needs_both_kinds(value: bool) -> None:
    with pytest.raises(UsageError, match="normal and anomalous"):
        nearest_normal_distance(np.zeros((3, 2)), np.full(3, value))
