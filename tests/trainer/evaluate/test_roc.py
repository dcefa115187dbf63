"""AUC, partial AUC and equal error rate against counting."""

import math

import pytest

from tests.trainer.evaluate.loops import TIED, area_below, count_roc, crossing, draw, standardised_area
from trainer.evaluate.auc import pairwise_wins
from trainer.evaluate.roc import equal_error_rate, partial_auc, roc_auc


@TIED
def test_auc_is_the_area_and_the_share_of_pairs_won(seed, tied):
    normal, anomalous = draw(seed, tied)
    assert roc_auc(normal, anomalous) == pytest.approx(area_below(count_roc(normal, anomalous)), abs=1e-12)
    assert roc_auc(normal, anomalous) == pytest.approx(pairwise_wins(normal, anomalous).mean(), abs=1e-12)


@TIED
@pytest.mark.parametrize("max_fpr", [0.1, 0.37])
def test_partial_auc_is_the_standardised_area(seed, tied, max_fpr):
    normal, anomalous = draw(seed, tied)
    expected = standardised_area(count_roc(normal, anomalous), max_fpr)
    assert partial_auc(normal, anomalous, max_fpr) == pytest.approx(expected, abs=1e-12)


@TIED
def test_equal_error_rate_is_the_crossing(seed, tied):
    normal, anomalous = draw(seed, tied)
    assert equal_error_rate(normal, anomalous) == pytest.approx(crossing(count_roc(normal, anomalous)), abs=1e-12)


def test_perfect_worst_and_chance():
    low, high = [0.0, 1.0, 2.0], [3.0, 4.0]
    assert (roc_auc(low, high), partial_auc(low, high), equal_error_rate(low, high)) == (1.0, 1.0, 0.0)
    assert (roc_auc(high, low), equal_error_rate(high, low)) == (0.0, 1.0)
    assert (roc_auc(low, low), partial_auc(low, low), equal_error_rate(low, low)) == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize("figure", [roc_auc, partial_auc, equal_error_rate])
def test_what_has_no_curve_is_refused(figure):
    with pytest.raises(ValueError, match="normal and anomalous"):
        figure([], [1.0])
    with pytest.raises(ValueError, match="normal and anomalous"):
        figure([1.0], [])
    with pytest.raises(ValueError, match="NaN"):
        figure([math.nan], [1.0])
