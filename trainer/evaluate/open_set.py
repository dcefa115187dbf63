"""Open-set classification (thesis 2.10.2, 6.2): which of the known classes is it, or none of them?

A normal sample that is taken for the wrong known class is an error at every threshold, just as if it scored above all
others; so the top-1 figures are those of the ROC curve with such samples' scores raised to the top (eqs. 28, 29).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array
from trainer.evaluate.counts import decided
from trainer.evaluate.roc import MAX_FPR, equal_error_rate, partial_auc, roc_auc


@dataclass(frozen=True)
class OpenSetScores:
    """What a system says of a test set.

    Attributes:
        known: (n,) anomaly scores of samples of known classes.
        classes: int (n,) their true classes.
        predicted: int (n,) the most similar known classes.
        unknown: (m,) anomaly scores of samples of unknown classes.
    """

    known: Float64Array
    classes: NDArray[np.int64]
    predicted: NDArray[np.int64]
    unknown: Float64Array

    def top_1(self) -> Float64Array:
        """Scores of the known samples with the confused ones raised above all others: (n,)."""
        top = np.nextafter(max(self.known.max(), self.unknown.max()), math.inf)
        return np.where(self.classes == self.predicted, self.known, top)


def openness(n_train_classes: int, n_test_classes: int) -> float:
    """How many of the test's classes are new (eq. 63): 0 is closed, 1 all new.

    >>> round(openness(29, 34), 2), round(openness(24, 34), 2)  # Table 28, middle and high
    (0.04, 0.09)
    """
    return 1.0 - math.sqrt(2.0 * n_train_classes / (n_train_classes + n_test_classes))


def weighted_accuracy(scores: OpenSetScores, threshold: float, beta: float = 0.5) -> float:
    """Accuracy among the known classes and of known against unknown, weighted (eq. 27).

    The first is the mean of the classes' accuracies: the sum in eq. 27 lacks its 1 / N_classes, without which it would
    not stay within [0, 1].

    Args:
        scores: of the test set.
        threshold: samples scoring above it are called unknown.
        beta: weight of the accuracy among the known.
    """
    counts = decided(scores.known, scores.unknown, threshold)
    n_wrong = counts.n_false_positive + counts.n_false_negative
    told_apart = 1.0 - n_wrong / (len(scores.known) + len(scores.unknown))
    return float(beta * known_accuracy(scores) + (1.0 - beta) * told_apart)


def known_accuracy(scores: OpenSetScores) -> float:
    """Mean over the known classes of the share that is told right (first half of eq. 27)."""
    is_right = scores.classes == scores.predicted
    return float(np.mean([is_right[scores.classes == c].mean() for c in np.unique(scores.classes)]))


def top_1_auc(scores: OpenSetScores) -> float:
    """AUC with the top-1 false positive rate (2.10.2)."""
    return roc_auc(scores.top_1(), scores.unknown)


def top_1_partial_auc(scores: OpenSetScores, max_fpr: float = MAX_FPR) -> float:
    """Partial AUC with the top-1 false positive rate; 0.47 when a tenth or more of the known samples are confused."""
    return partial_auc(scores.top_1(), scores.unknown, max_fpr)


def top_1_equal_error_rate(scores: OpenSetScores) -> float:
    """Where the top-1 false positive rate equals the false negative rate (2.10.2)."""
    return equal_error_rate(scores.top_1(), scores.unknown)


def open_set_figures(scores: OpenSetScores, threshold: float, beta: float = 0.5) -> dict[str, float]:
    """All figures of a system, each within [0, 1].

    Args:
        scores: of the test set.
        threshold: of `weighted_accuracy`, and `beta` likewise; the others need none.
    """
    return {
        "weighted_accuracy": weighted_accuracy(scores, threshold, beta),
        "known_accuracy": known_accuracy(scores),
        "top_1_auc": top_1_auc(scores),
        "top_1_partial_auc": top_1_partial_auc(scores),
        "top_1_eer": top_1_equal_error_rate(scores),
    }
