"""OCSVM, GESD, cleverSD and MST-x against loops and published values."""

import math
import statistics

import numpy as np
import pytest

from edged.decide.thresholds import METHODS, mst
from edged.errors import EnrolmentError
from trainer.evaluate.thresholds import (
    ALL_METHODS,
    clever_standard_deviation,
    extreme_studentized_deviate,
    grubbs_limit,
    one_class_svm,
    thresholds,
)


def t_density(x, freedom):
    scale = math.gamma((freedom + 1) / 2) / (math.sqrt(freedom * math.pi) * math.gamma(freedom / 2))
    return scale * (1 + x * x / freedom) ** (-(freedom + 1) / 2)


def slow_t_upper(tail, freedom):
    """The value with this much of Student's t above it, by bisection and Simpson's rule."""
    low, high = 0.0, 60.0
    for _ in range(50):
        middle = (low + high) / 2
        grid = np.linspace(0.0, middle, 401)
        weights = np.r_[1, np.tile([4, 2], 199), 4, 1] * (grid[1] - grid[0]) / 3
        above = 0.5 - float(weights @ t_density(grid, freedom))
        low, high = (middle, high) if above > tail else (low, middle)
    return low


def slow_gesd(scores):
    left, removed = sorted(scores), []
    while len(left) >= 3 and statistics.stdev(left) > 0:
        n = len(left)
        t = slow_t_upper(0.05 / (2 * n), n - 2)
        limit = (n - 1) / math.sqrt(n) * math.sqrt(t**2 / (n - 2 + t**2))
        if (max(left) - statistics.fmean(left)) / statistics.stdev(left) <= limit:
            break
        removed.append(left.pop())
    return removed[-1] if removed else max(scores)


def slow_clever_sd(scores):
    left, removed = sorted(scores), []
    while len(left) > 1 and left[-1] > statistics.fmean(left) + 2.0 * statistics.pstdev(left):
        removed.append(left.pop())
    return removed[-1] if removed else max(scores)


def heavy_tailed(seed, n=37):
    return np.random.default_rng(seed).standard_t(2, size=n)


def test_grubbs_limits_of_the_tables():
    """As printed in ISO 5725-2 for one outlier at 5 %."""
    for n, limit in [(3, 1.155), (5, 1.715), (8, 2.126), (10, 2.290), (20, 2.709), (40, 3.036)]:
        assert grubbs_limit(n) == pytest.approx(limit, abs=2e-3)


def test_gesd_on_the_published_example():
    """Tietjen and Moore's masses of uranium: only 245.57 is an outlier."""
    masses = np.array([199.31, 199.53, 200.19, 200.82, 201.92, 201.95, 202.18, 245.57])
    assert (masses.max() - masses.mean()) / masses.std(ddof=1) == pytest.approx(2.4687, abs=1e-4)
    assert extreme_studentized_deviate(masses) == 245.57
    assert extreme_studentized_deviate(masses[:-1]) == 202.18  # nothing left to remove


@pytest.mark.parametrize("seed", range(4))
def test_gesd_equals_the_loop(seed):
    scores = heavy_tailed(seed)
    assert extreme_studentized_deviate(scores) == slow_gesd(scores.tolist())


@pytest.mark.parametrize("seed", range(8))
def test_clever_sd_equals_the_loop(seed):
    scores = heavy_tailed(seed)
    assert clever_standard_deviation(scores) == slow_clever_sd(scores.tolist())


def test_clever_sd_by_hand():
    """Nine zeros and 1, 5: 5 exceeds 0.55 + 2 * 1.44; then 1 exceeds 0.1 + 2 * 0.3; then all are equal."""
    assert clever_standard_deviation(np.array([0.0] * 9 + [1.0, 5.0])) == 1.0
    assert clever_standard_deviation(np.arange(4.0)) == 3.0


@pytest.mark.parametrize("offset", [-1000.0, 0.0, 1000.0])
@pytest.mark.parametrize("seed", range(4))
def test_ocsvm_is_the_order_statistic(seed, offset):
    """Of n scores the share nu is left out: the optimum lies on the score after the floor(nu n) highest."""
    scores = heavy_tailed(seed, n=37) + offset
    expected = np.sort(scores)[::-1][math.floor(0.1 * len(scores))]
    assert one_class_svm(scores) == pytest.approx(expected, abs=1e-3 * np.ptp(scores))


def test_ocsvm_leaves_out_the_share_asked_for():
    scores = np.random.default_rng(0).gamma(3.0, size=501)
    for nu in (0.05, 0.1, 0.3):
        assert (scores > one_class_svm(scores, nu)).mean() == pytest.approx(nu, abs=0.005)


@pytest.mark.parametrize("name", ALL_METHODS)
@pytest.mark.parametrize("n_stages", [1, 2, 3])
def test_multi_stage_equals_the_loop(name, n_stages):
    scores = heavy_tailed(3, n=61)
    kept, expected = scores, math.nan
    for _ in range(n_stages):
        expected = ALL_METHODS[name](kept)
        kept = np.array([x for x in kept if x <= expected])
    assert thresholds(scores, n_stages)[name] == expected


@pytest.mark.parametrize("name", ALL_METHODS)
@pytest.mark.parametrize(("factor", "shift"), [(3.0, 0.0), (1e-4, 0.0), (1.0, -50.0), (200.0, 7.0)])
def test_a_threshold_moves_with_the_scores(name, factor, shift):
    """No method depends on the unit or the zero of the score."""
    scores = heavy_tailed(7)
    expected = factor * ALL_METHODS[name](scores) + shift
    assert ALL_METHODS[name](factor * scores + shift) == pytest.approx(expected, abs=1e-4 * factor * np.ptp(scores))


def test_base_methods_are_the_daemons():
    scores = heavy_tailed(5)
    assert {name: thresholds(scores, 2)[name] for name in METHODS} == {name: mst(scores, name) for name in METHODS}


@pytest.mark.parametrize("name", ALL_METHODS)
@pytest.mark.parametrize("scores", [[2.5], [2.5, 2.5, 2.5], [1.0, 2.0]])
def test_few_or_equal_scores_give_a_threshold(name, scores):
    assert math.isfinite(ALL_METHODS[name](np.array(scores)))


def test_no_scores_are_refused():
    with pytest.raises(EnrolmentError):
        thresholds([math.nan])
