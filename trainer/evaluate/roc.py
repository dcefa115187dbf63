"""Figures of the ROC curve (thesis 2.10.1): AUC, partial AUC and equal error rate, on scikit-learn's curve.

Ties count half throughout: the curve joins its corners by straight lines (eqs. 23 to 25).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score, roc_curve

from edged.flow import Float64Array

MAX_FPR = 0.1
"""The false positive rate up to which DCASE and the thesis take the partial AUC."""


def roc_auc(normal: ArrayLike, anomalous: ArrayLike) -> float:
    """Area under the ROC curve of anomaly scores: (n,), (m,) -> share of pairs in the right order (theorem 2.10).

    Raises:
        ValueError: a side is empty or a score is not finite; so for all functions here.

    >>> roc_auc([1.0, 2.0], [2.0, 3.0])
    0.875
    """
    return float(roc_auc_score(*_labelled(normal, anomalous)))


def partial_auc(normal: ArrayLike, anomalous: ArrayLike, max_fpr: float = MAX_FPR) -> float:
    """AUC up to `max_fpr`, standardised as DCASE does (McClish 1989): 0.5 is chance and 1 perfect.

    >>> partial_auc([1.0, 2.0], [3.0, 4.0])
    1.0
    """
    return float(roc_auc_score(*_labelled(normal, anomalous), max_fpr=max_fpr))


def equal_error_rate(normal: ArrayLike, anomalous: ArrayLike) -> float:
    """Where the false positive rate equals the false negative rate, interpolated between the curve's corners.

    >>> equal_error_rate([1.0, 1.0], [1.0, 1.0])
    0.5
    """
    fpr, tpr, _ = roc_curve(*_labelled(normal, anomalous), drop_intermediate=False)
    excess = 1.0 - tpr - fpr  # falls from 1 to -1
    after = int(np.argmax(excess <= 0.0))
    before = after - 1
    share = excess[before] / (excess[before] - excess[after])
    return float(fpr[before] + share * (fpr[after] - fpr[before]))


def _labelled(normal: ArrayLike, anomalous: ArrayLike) -> tuple[Float64Array, Float64Array]:
    n, a = np.asarray(normal, np.float64), np.asarray(anomalous, np.float64)
    if len(n) == 0 or len(a) == 0:
        raise ValueError("a ROC curve needs normal and anomalous scores")
    return np.r_[np.zeros(len(n)), np.ones(len(a))], np.r_[n, a]
