"""Thresholds against cases computed by hand."""

import numpy as np
import pytest
from scipy import stats

from edged.decide.thresholds import ALARM_METHODS, METHODS, alarm_threshold, gamma_percentile, mst
from edged.errors import EnrolmentError

SCORES = np.arange(1.0, 11.0)  # 1 ... 10


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("hp", 9.1),
        ("sd", 5.5 + 1.28 * np.sqrt(8.25)),
        ("mad", 5.5 + 1.4826 * 2 * 2.5),
        ("iqr", 7.75 + 0.5 * 4.5),
    ],
)
def test_base_methods_by_hand(method: str, expected: float) -> None:
    assert METHODS[method](SCORES) == pytest.approx(expected)
    assert mst(SCORES, method, n_stages=1) == pytest.approx(expected)


def test_two_stages_by_hand() -> None:
    """SD on 1..10 gives 9.18, so 10 goes; then mean 5 and std sqrt(60/9) of 1..9."""
    assert mst(SCORES, "sd") == pytest.approx(5.0 + 1.28 * np.sqrt(60.0 / 9.0))


@pytest.mark.parametrize("true_shape", [0.04, 0.1, 0.2, 0.5, 0.9, 4.0, 15.0, 400.0])
@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.9997])
def test_gamma_percentile_agrees_with_scipy(true_shape: float, percentile: float) -> None:
    """It was 30 % too low where the shape is a tenth, as one far outlier makes it."""
    scores = stats.gamma(true_shape, scale=0.5).rvs(4000, random_state=1)
    shifted = scores - scores.min()
    shape = shifted.mean() ** 2 / shifted.var()
    expected = scores.min() + stats.gamma(shape, scale=shifted.mean() / shape).ppf(percentile / 100.0)
    assert gamma_percentile(scores, percentile) == pytest.approx(expected, rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scores", [[3.0], [3.0, 3.0, 3.0]])
def test_few_or_equal_scores_give_a_finite_threshold(method: str, scores: list[float]) -> None:
    assert mst(scores, method) == pytest.approx(3.0)


@pytest.mark.parametrize("method", METHODS)
def test_an_outlier_hardly_moves_the_second_stage(method: str) -> None:
    scores = np.random.default_rng(0).normal(0.0, 1.0, 200)
    with_outlier = np.append(scores, 1000.0)
    assert mst(with_outlier, method) < mst(scores, method) + 1.0


def test_alarm_threshold_by_hand() -> None:
    """1..10: mean 5.5, std sqrt(8.25), no outliers, 4.5 spreads with the surcharge for ten scores."""
    assert alarm_threshold(SCORES) == pytest.approx(5.5 + 4.5 * 1.4 * np.sqrt(8.25))


def test_alarm_threshold_of_equal_scores_keeps_its_distance() -> None:
    assert alarm_threshold([0.0] * 4) == pytest.approx(4.5 * 2.0 * 0.3)


@pytest.mark.parametrize("n_clips", [12, 20, 60])
def test_alarms_on_normal_scores_are_rare(n_clips: int) -> None:
    """Less than one independent segment in an hour of 360, over many enrolments."""
    rng = np.random.default_rng(1)
    future = rng.standard_t(8, 36_000)
    rates = [np.mean(future > alarm_threshold(rng.standard_t(8, n_clips))) for _ in range(200)]
    assert 360 * np.mean(rates) < 1.0


def test_fewer_scores_give_a_more_careful_threshold() -> None:
    few, many = np.tile([0.0, 1.0], 3), np.tile([0.0, 1.0], 300)
    assert alarm_threshold(few) > alarm_threshold(many)


def test_nan_scores_are_ignored_and_none_is_an_error() -> None:
    assert alarm_threshold([*SCORES, np.nan]) == alarm_threshold(SCORES)
    with pytest.raises(EnrolmentError):
        alarm_threshold([np.nan])
    with pytest.raises(EnrolmentError):
        mst(SCORES, "guess")


@pytest.mark.parametrize("method", ["mst-sd", "mst-mad", "mst-iqr", "sd", "mad", "iqr"])
def test_methods_agree_on_normally_distributed_scores(method: str) -> None:
    scores = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    assert alarm_threshold(scores, method=method) == pytest.approx(4.5, rel=0.02)


def test_gamma_percentile_goes_as_far_out_as_a_gamma_tail_does() -> None:
    scores = stats.gamma(4.0).rvs(20_000, random_state=2)
    assert alarm_threshold(scores, method="gdp") == pytest.approx(stats.gamma(4.0).isf(stats.norm.sf(4.5)), rel=0.1)


@pytest.mark.parametrize(("method", "expected"), [("hp", 10.0), ("cleversd", 10.0)])
def test_methods_that_rank_stop_at_the_highest_score(method: str, expected: float) -> None:
    assert alarm_threshold(SCORES, method=method) == pytest.approx(expected, rel=1e-3)


def test_clever_sd_stops_at_the_last_outlier() -> None:
    scores = np.append(np.linspace(0.0, 3.0, 200), [50.0, 90.0])
    assert alarm_threshold(scores, method="cleversd", spreads=3.0) == 50.0


@pytest.mark.parametrize("method", ALARM_METHODS)
def test_every_method_keeps_its_distance_from_equal_scores(method: str) -> None:
    assert alarm_threshold([1.0] * 4, method=method) == pytest.approx(1.0 + 4.5 * 2.0 * 0.3)


def test_an_unknown_alarm_method_is_refused() -> None:
    with pytest.raises(EnrolmentError, match="mst-mad"):
        alarm_threshold(SCORES, method="ocsvm")
