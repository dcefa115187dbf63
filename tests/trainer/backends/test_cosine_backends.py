"""Cosine distances to means, centres and nearest samples against loops."""

import numpy as np
import pytest

from edged.errors import ConfigError
from edged.score.references import SOURCE, References
from tests.trainer.backends.made import DIM, QUERIES, REFERENCES, cosine_distance, make_references, unit_rows
from trainer.backends.cosine_to_centres import fit_centres, fit_mean
from trainer.backends.nearest_samples import NearestSamples


def test_distance_to_the_mean_of_unit_vectors() -> None:
    mean = unit_rows(REFERENCES.vectors).mean(axis=0)
    expected = [cosine_distance(q, mean) for q in QUERIES]
    np.testing.assert_allclose(fit_mean(REFERENCES).distance(QUERIES), expected, atol=1e-12)


def test_a_mean_of_zero_is_at_distance_one() -> None:
    opposite = References(np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32), (SOURCE,) * 2, np.arange(2))
    assert fit_mean(opposite).distance([[0.3, 0.4]]) == pytest.approx([1.0])


def test_distance_to_the_nearest_centre() -> None:
    centres = np.random.default_rng(4).standard_normal((3, DIM))
    expected = [min(cosine_distance(q, c) for c in centres) for q in QUERIES]
    np.testing.assert_allclose(fit_centres(REFERENCES, centres=centres).distance(QUERIES), expected, atol=1e-12)


@pytest.mark.parametrize("centres", [[], [[1.0]], np.ones(DIM), np.full((1, DIM), np.nan)])
def test_centres_that_do_not_fit_are_refused(centres: object) -> None:
    with pytest.raises(ConfigError, match="centres"):
        fit_centres(REFERENCES, centres=centres)


@pytest.mark.parametrize("k", [1, 3, 10, 300, 1000])
def test_mean_of_the_k_nearest(k: int) -> None:
    references = make_references(n_source=300)
    expected = [np.mean(sorted(cosine_distance(q, y) for y in references.vectors)[:k]) for q in QUERIES]
    np.testing.assert_allclose(NearestSamples.fit(references, k=k).distance(QUERIES), expected, atol=1e-12)
