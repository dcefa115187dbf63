"""All of the thesis's decision thresholds (2.11): the base methods of the daemon and those that need scipy or sklearn.

GESD and cleverSD remove the highest score as long as it is an outlier, and their threshold is the last one removed. If
none is, it is the highest score: the smallest threshold at which all of the normal sound stays normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student_t
from sklearn.svm import OneClassSVM

from edged.decide.thresholds import METHODS, Method, multi_stage, standard_deviation
from edged.flow import Float64Array

NU_SVM = 0.1
BETA_CLEVER_SD = 2.0
"""Of key publication 3, which found it for cleverSD; the thesis's text names no other."""
SIGNIFICANCE = 0.05


def one_class_svm(scores: Float64Array, nu: float = NU_SVM) -> float:
    """OCSVM with a linear kernel (key publication 3, section 3.6): leaves out the share `nu` of the scores.

    A linear one-class SVM cuts off what is nearest to zero, so the scores are turned around and moved until the highest
    is nearest; on the scores themselves it would cut off the lowest ones wherever they are positive.
    """
    high, spread = float(scores.max()), float(np.ptp(scores))
    if spread == 0.0:
        return high
    depth = 1.0 + (high - scores) / spread  # within [1, 2], the highest score at 1
    svm = OneClassSVM(kernel="linear", nu=nu, tol=1e-6).fit(depth[:, np.newaxis])
    boundary = float(svm.offset_[0] / svm.coef_[0, 0])
    return high - (boundary - 1.0) * spread


def grubbs_limit(n: int, significance: float = SIGNIFICANCE) -> float:
    """Critical value of the Grubbs statistic of n scores (eq. 34), n of at least three."""
    t_squared = float(student_t.isf(significance / (2 * n), n - 2)) ** 2
    return (n - 1) / math.sqrt(n) * math.sqrt(t_squared / (n - 2 + t_squared))


def extreme_studentized_deviate(scores: Float64Array) -> float:
    """GESD (eqs. 33, 34): Grubbs's test on the highest score, again and again.

    The standard deviation is that of a sample (n - 1), for which the critical value holds.
    """

    def is_outlier(kept: Float64Array) -> bool:
        deviation = float(kept.std(ddof=1)) if len(kept) >= 3 else 0.0
        return deviation > 0.0 and (kept[-1] - kept.mean()) / deviation > grubbs_limit(len(kept))

    return _last_removed(scores, is_outlier)


def clever_standard_deviation(scores: Float64Array) -> float:
    """CleverSD: SD (eq. 30) with beta = 2 on the highest score, again and again."""
    return _last_removed(scores, lambda kept: kept[-1] > standard_deviation(kept, BETA_CLEVER_SD))


def _last_removed(scores: Float64Array, is_outlier: Callable[[Float64Array], bool]) -> float:
    """`is_outlier` judges the last of the ascending scores that are left."""
    kept = np.sort(scores)
    n_removed = 0
    while len(kept) > n_removed + 1 and is_outlier(kept[: len(kept) - n_removed]):
        n_removed += 1
    return float(kept[-max(n_removed, 1)])


ALL_METHODS: dict[str, Method] = {
    **METHODS,
    "ocsvm": one_class_svm,
    "gesd": extreme_studentized_deviate,
    "cleversd": clever_standard_deviation,
}


def thresholds(scores: ArrayLike, n_stages: int = 1) -> dict[str, float]:
    """Every method's threshold: (n,) scores of normal sound -> method -> threshold; `n_stages` > 1 gives MST-x.

    Raises:
        EnrolmentError: no finite scores.
    """
    return {name: multi_stage(scores, method, n_stages) for name, method in ALL_METHODS.items()}
