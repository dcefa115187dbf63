"""Sums of scores, and the normalisations that make them comparable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import percentileofscore

from edged.errors import ConfigError
from trainer.backends.ensemble import NORMALISATIONS, summed_scores

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(3, 20))
NORMAL = RNG.normal(size=(3, 50))


def test_without_normalisation_it_is_the_sum() -> None:
    expected = [sum(system[i] for system in SCORES) for i in range(20)]
    np.testing.assert_allclose(summed_scores(list(SCORES)), expected, rtol=1e-12)


def test_standardised_by_the_normal_scores() -> None:
    expected = sum((s - np.mean(n)) / np.std(n) for s, n in zip(SCORES, NORMAL, strict=True))
    np.testing.assert_allclose(summed_scores(SCORES, NORMAL, normalisation="standardised"), expected, rtol=1e-12)


def test_the_empirical_cdf_is_the_mean_percentile_within_the_normal_scores() -> None:
    inside = np.clip(np.round(SCORES, 1), -1.0, 1.0)
    normal = np.round(NORMAL, 1)
    expected = sum(
        np.array([percentileofscore(n, x, kind="mean") / 100 for x in s]) for s, n in zip(inside, normal, strict=True)
    )
    np.testing.assert_allclose(summed_scores(inside, normal, normalisation="empirical-cdf"), expected, rtol=1e-12)


def test_what_is_beyond_all_normal_scores_keeps_its_order() -> None:
    """A share of normal scores is 1 for every anomaly."""
    beyond = summed_scores([[5.0, 6.0, 9.0]], [NORMAL[0]], normalisation="empirical-cdf")
    assert beyond[0] > 1.0
    assert np.diff(beyond) == pytest.approx(np.array([1.0, 3.0]) / NORMAL[0].std())


@pytest.mark.parametrize("normalisation", ["standardised", "empirical-cdf"])
@given(scale=st.floats(1e-3, 1e3), offset=st.floats(-1e3, 1e3))
def test_the_scale_and_the_constant_of_a_system_decide_nothing(normalisation: str, scale: float, offset: float) -> None:
    before = summed_scores(SCORES, NORMAL, normalisation=normalisation)
    scores, normal = SCORES.copy(), NORMAL.copy()
    scores[1], normal[1] = scale * scores[1] + offset, scale * normal[1] + offset
    np.testing.assert_allclose(summed_scores(scores, normal, normalisation=normalisation), before, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@given(clip=st.integers(0, 19), system=st.integers(0, 2), more=st.floats(0.0, 10.0))
def test_a_higher_score_never_lowers_the_sum(normalisation: str, clip: int, system: int, more: float) -> None:
    scores = SCORES.copy()
    scores[system, clip] += more
    before, after = (summed_scores(s, NORMAL, normalisation=normalisation) for s in (SCORES, scores))
    assert after[clip] >= before[clip]


@pytest.mark.parametrize("normalisation", ["standardised", "empirical-cdf"])
def test_unknown_normal_scores_are_left_aside_and_passed_on(normalisation: str) -> None:
    padded = np.concatenate([NORMAL, np.full((3, 1), np.nan)], axis=1)
    plain, with_gap = (summed_scores(SCORES, n, normalisation=normalisation) for n in (NORMAL, padded))
    np.testing.assert_array_equal(with_gap, plain)
    of_normal = summed_scores(padded, padded, normalisation=normalisation)
    assert np.isnan(of_normal[-1])
    assert np.isfinite(of_normal[:-1]).all()


@pytest.mark.parametrize(("normalisation", "expected"), [("standardised", [0.0, 2.0]), ("empirical-cdf", [0.5, 3.0])])
def test_constant_normal_scores_do_not_divide_by_zero(normalisation: str, expected: list[float]) -> None:
    """By rounding the mean of these is not 0.1, and the deviation not quite zero."""
    result = summed_scores([[0.1, 2.1]], [np.full(3, 0.1)], normalisation=normalisation)
    np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("scores", "normal", "normalisation"),
    [
        ([], None, "none"),
        ([[1.0, 2.0], [1.0]], None, "none"),
        ([[[1.0]]], None, "none"),
        ([[1.0]], None, "standardised"),
        ([[1.0], [2.0]], [[1.0, 2.0]], "standardised"),
        ([[1.0]], [[1.0, np.nan]], "empirical-cdf"),
        ([[1.0]], [[1.0, 2.0]], "zscore"),
    ],
)
def test_what_cannot_be_summed_is_refused(scores: list, normal: list | None, normalisation: str) -> None:
    with pytest.raises(ConfigError):
        summed_scores(scores, normal, normalisation=normalisation)
