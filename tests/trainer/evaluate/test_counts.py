"""F1, precision and recall against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from tests.trainer.evaluate.loops import TIED, draw
from trainer.evaluate.counts import Counts, decided


@TIED
def test_figures_equal_those_of_sklearn(seed, tied):
    normal, anomalous = draw(seed, tied)
    truth = np.r_[np.zeros(len(normal)), np.ones(len(anomalous))]
    for threshold in [-9.0, 9.0, *normal, *anomalous]:
        alarms = np.r_[normal, anomalous] > threshold
        counts = decided(normal, anomalous, threshold)
        assert counts.f1 == pytest.approx(f1_score(truth, alarms, zero_division=0))
        assert counts.precision == pytest.approx(precision_score(truth, alarms, zero_division=0))
        assert counts.recall == pytest.approx(recall_score(truth, alarms, zero_division=0))


def test_counts_add_up():
    assert Counts(1, 2, 3) + Counts(4, 5, 6) == Counts(5, 7, 9)
    assert (Counts(2, 1, 3).precision, Counts(2, 1, 3).recall, Counts(2, 1, 3).f1) == (2 / 3, 2 / 5, 0.5)
    assert Counts().f1 == 0.0


def test_nan_does_not_pass_for_normal():
    with pytest.raises(ValueError, match="NaN"):
        decided([1.0, np.nan], [2.0], 1.5)
