"""Open-set figures against counting by eqs. 27 to 29."""

import numpy as np
import pytest

from tests.trainer.evaluate.loops import TIED, area_below, count_roc, crossing, draw, standardised_area
from trainer.evaluate.open_set import (
    OpenSetScores,
    known_accuracy,
    open_set_figures,
    openness,
    top_1_auc,
    top_1_equal_error_rate,
    top_1_partial_auc,
    weighted_accuracy,
)


def scores(seed, tied, error=0.2):
    known, unknown = draw(seed, tied)
    rng = np.random.default_rng(seed)
    classes = rng.integers(3, size=len(known))
    predicted = np.where(rng.random(len(known)) < error, (classes + 1) % 3, classes)
    return OpenSetScores(known, classes, predicted, unknown)


@TIED
def test_top_1_figures_equal_counting(seed, tied):
    made = scores(seed, tied)
    corners = count_roc(made.known, made.unknown, made.classes != made.predicted)
    assert top_1_auc(made) == pytest.approx(area_below(corners), abs=1e-12)
    assert top_1_partial_auc(made, 0.4) == pytest.approx(standardised_area(corners, 0.4), abs=1e-12)
    assert top_1_equal_error_rate(made) == pytest.approx(crossing(corners), abs=1e-12)


@TIED
def test_weighted_accuracy_equals_counting(seed, tied):
    made = scores(seed, tied)
    threshold, beta = 0.3, 0.7
    by_class = []
    for c in range(3):
        of_class = [p == c for t, p in zip(made.classes, made.predicted, strict=True) if t == c]
        by_class.append(sum(of_class) / len(of_class))
    n_right = sum(1 for x in made.known if x <= threshold) + sum(1 for x in made.unknown if x > threshold)
    expected = beta * sum(by_class) / 3 + (1 - beta) * n_right / (len(made.known) + len(made.unknown))
    assert weighted_accuracy(made, threshold, beta) == pytest.approx(expected, abs=1e-12)


def test_without_confusion_top_1_is_the_ordinary_figure():
    made = scores(0, tied=False, error=0.0)
    corners = count_roc(made.known, made.unknown)
    assert top_1_auc(made) == pytest.approx(area_below(corners), abs=1e-12)
    assert top_1_equal_error_rate(made) == pytest.approx(crossing(corners), abs=1e-12)


def test_confusion_bounds_every_top_1_figure():
    """A perfect detector that confuses a quarter of the classes."""
    classes = np.zeros(4, np.int64)
    made = OpenSetScores(np.zeros(4), classes, np.array([0, 0, 0, 1]), np.ones(3))
    assert top_1_auc(made) == pytest.approx(0.75)
    assert top_1_equal_error_rate(made) == pytest.approx(0.25)
    assert top_1_partial_auc(made) == pytest.approx(0.5 * (1 - 0.005 / 0.095))
    assert weighted_accuracy(made, 0.5) == pytest.approx(0.5 * 0.75 + 0.5)


@pytest.mark.parametrize(("n_train", "expected"), [(34, 0.0), (29, 0.04), (24, 0.09)])
def test_openness_of_table_28(n_train, expected):
    assert openness(n_train, 34) == pytest.approx(expected, abs=0.005)


def test_all_figures_together_are_the_single_ones():
    made = scores(3, tied=False)
    assert open_set_figures(made, 0.3, 0.7) == {
        "weighted_accuracy": weighted_accuracy(made, 0.3, 0.7),
        "known_accuracy": known_accuracy(made),
        "top_1_auc": top_1_auc(made),
        "top_1_partial_auc": top_1_partial_auc(made),
        "top_1_eer": top_1_equal_error_rate(made),
    }


def test_accuracy_among_the_known_counts_every_class_alike():
    classes = np.array([0, 0, 0, 0, 1])
    made = OpenSetScores(np.zeros(5), classes, np.array([0, 0, 0, 1, 0]), np.ones(1))
    assert known_accuracy(made) == pytest.approx((0.75 + 0.0) / 2)
