"""F1-EV against loops over definitions 4.1 and 4.2, and on the toy cases of Figure 16."""

import itertools
import math
import statistics

import numpy as np
import pytest
from scipy.integrate import quad

from tests.trainer.evaluate.loops import TIED, draw
from trainer.evaluate.f1_ev import BETA, bounded_f1_ev, f1_ev, f1_scores, optimal_threshold


def slow_f1(normal, anomalous, threshold):
    n_hits = sum(1 for x in anomalous if x > threshold)
    n_alarms = sum(1 for x in normal if x > threshold)
    return 2.0 * n_hits / (n_hits + n_alarms + len(anomalous))


def slow_sum(normal, anomalous, thresholds):
    """Eqs. 49 and 52."""
    whole = thresholds[-1] - thresholds[0]
    return sum(slow_f1(normal, anomalous, low) * (high - low) / whole for low, high in itertools.pairwise(thresholds))


def slow_optimum(normal, anomalous):
    """Middle of the beginning of the first and the end of the last step with the best F1."""
    steps = list(itertools.pairwise(sorted({*normal, *anomalous})))
    values = [slow_f1(normal, anomalous, (low + high) / 2) for low, high in steps]
    best = [step for step, value in zip(steps, values, strict=True) if value == max(values)]
    return (best[0][0] + best[-1][1]) / 2.0


@TIED
def test_f1_ev_equals_the_loop(seed, tied):
    normal, anomalous = draw(seed, tied)
    expected = slow_sum(normal, anomalous, sorted([*normal, *anomalous]))
    assert f1_ev(normal, anomalous) == pytest.approx(expected, abs=1e-12)


@TIED
def test_bounded_f1_ev_equals_the_loop(seed, tied):
    normal, anomalous = draw(seed, tied)
    spread = statistics.pstdev(normal)
    low = statistics.fmean(normal) - BETA * spread
    high = slow_optimum(normal, anomalous) + BETA * spread
    between = [x for x in sorted([*normal, *anomalous]) if low < x < high]
    expected = slow_sum(normal, anomalous, [low, *between, high]) if high > low else slow_f1(normal, anomalous, low)
    assert bounded_f1_ev(normal, anomalous) == pytest.approx(expected, abs=1e-12)


@TIED
def test_the_optimum_is_the_middle_of_the_best_thresholds(seed, tied):
    normal, anomalous = draw(seed, tied)
    assert optimal_threshold(normal, anomalous) == pytest.approx(slow_optimum(normal, anomalous), abs=1e-12)


@TIED
def test_f1_at_many_thresholds(seed, tied):
    normal, anomalous = draw(seed, tied)
    thresholds = [-9.0, *normal, *anomalous, 9.0]
    expected = [slow_f1(normal, anomalous, x) for x in thresholds]
    assert f1_scores(normal, anomalous, thresholds).tolist() == pytest.approx(expected)


SMALL_MARGIN, LARGE_MARGIN, NO_MARGIN = (0.45, 0.55), (0.2, 0.8), (0.5, 0.5)


def toy(margin, n=4000):
    """Figure 16: normal scores even over [0, a], anomalous ones over [b, 1]; AUC is 1 for all."""
    end, start = margin
    return np.linspace(0.0, end, n), np.linspace(start, 1.0, n + 1)[1:]


def toy_f1(threshold, margin):
    """F1 of the toy's continuous distributions."""
    end, start = margin
    n_alarms = max(0.0, 1.0 - threshold / end)
    n_hits = min(1.0, (1.0 - threshold) / (1.0 - start))
    return 2.0 * n_hits / (n_hits + n_alarms + 1.0)


@pytest.mark.parametrize("margin", [SMALL_MARGIN, LARGE_MARGIN, NO_MARGIN])
def test_toy_cases_of_figure_16_by_integral(margin):
    end, start = margin
    by_hand = 2 * end * math.log(1.5) + (start - end) + 2 * (1 - start) * (1 - math.log(2))
    assert f1_ev(*toy(margin)) == pytest.approx(by_hand, abs=1e-3)
    low = end / 2 - BETA * end / math.sqrt(12)
    high = (end + start) / 2 + BETA * end / math.sqrt(12)
    expected = quad(toy_f1, low, high, args=(margin,), points=[p for p in margin if low < p < high])[0] / (high - low)
    assert bounded_f1_ev(*toy(margin)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("figure", [f1_ev, bounded_f1_ev])
def test_toy_cases_of_figure_16_in_order(figure):
    """The wider the margin, the easier the threshold."""
    assert figure(*toy(NO_MARGIN)) < figure(*toy(SMALL_MARGIN)) < figure(*toy(LARGE_MARGIN))


def test_bounded_f1_ev_is_not_spoilt_by_one_outlier():
    normal, anomalous = toy(SMALL_MARGIN)
    outlier = np.r_[anomalous, 100.0]
    assert f1_ev(normal, outlier) < 0.1
    assert bounded_f1_ev(normal, outlier) == pytest.approx(bounded_f1_ev(normal, anomalous), abs=1e-3)


def test_without_a_range_the_one_threshold_counts():
    assert f1_ev([1.0, 1.0], [1.0]) == 0.0
    assert bounded_f1_ev([5.0, 5.0], [1.0, 2.0]) == 0.0  # the best threshold lies far below the normal scores


@pytest.mark.parametrize("figure", [f1_ev, bounded_f1_ev, optimal_threshold])
@pytest.mark.parametrize(("normal", "anomalous"), [([], [1.0]), ([1.0], []), ([1.0, math.nan], [2.0])])
def test_what_has_no_f1_is_refused(figure, normal, anomalous):
    with pytest.raises(ValueError, match="all finite"):
        figure(normal, anomalous)
