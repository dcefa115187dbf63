"""ROC and DET curves of one section, one curve per system (thesis 2.10.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup
from scipy.stats import norm
from sklearn.metrics import roc_curve

from edged.flow import Float64Array
from trainer.evaluate.judged import JudgedSection
from trainer.evaluate.roc import MAX_FPR, equal_error_rate
from trainer.report.figure import INK, PALETTE, as_svg, drawing, shown, thinned

MIN_RATE = 0.005
"""Where the axes of the DET curve end; no rate is 0 on them."""
_TICKS = (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)


def roc_det(sections: Mapping[str, JudgedSection], name: str) -> Markup:
    """Both curves, for the page.

    Args:
        sections: system -> the same section as it judged it.
        name: of the figure in the page.
    """
    with drawing(10.5, 4.0, left=0.06, right=0.99, bottom=0.13, top=0.92, wspace=0.16) as figure:
        left, right = figure.subplots(1, 2)
        for (system, section), colour in zip(sections.items(), _colours(len(sections)), strict=True):
            fpr, tpr = _curve(section)
            label = " " + shown(system)  # matplotlib leaves out labels that begin with an underscore
            left.plot(fpr, tpr, color=colour, label=label, linewidth=1.6)
            right.plot(_probit(fpr), _probit(1.0 - tpr), color=colour, linewidth=1.6)
            error = equal_error_rate(section.normal, section.anomalous)
            left.plot(error, 1.0 - error, "o", color=colour, markersize=5)
            right.plot(_probit(error), _probit(error), "o", color=colour, markersize=5)
        _finish_roc(left, n_systems=len(sections))
        _finish_det(right)
        return as_svg(figure, name, "ROC and DET curves")


def _curve(section: JudgedSection) -> tuple[Float64Array, ...]:
    scores = np.r_[section.normal, section.anomalous]
    labels = np.r_[np.zeros(len(section.normal)), np.ones(len(section.anomalous))]
    fpr, tpr, _ = roc_curve(labels, scores)
    return thinned(fpr, tpr)


def _finish_roc(axes: Any, n_systems: int) -> None:
    axes.axvspan(0.0, MAX_FPR, color="#888888", alpha=0.15, linewidth=0)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.7, linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC", xlim=(-0.02, 1.02))
    axes.set_ylim(-0.02, 1.02)
    if n_systems > 1:
        axes.legend(loc="lower right")


def _finish_det(axes: Any) -> None:
    ends = _probit(np.array([0.0, 1.0]))
    axes.plot(ends, ends, color=INK, linewidth=0.7, linestyle=":")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(_probit(np.array(_TICKS)), [f"{rate:.0%}" for rate in _TICKS])
    axes.set(xlabel="false positive rate", ylabel="false negative rate", title="DET", xlim=ends, ylim=ends)


def _probit(rates: Any) -> Any:
    return norm.ppf(np.clip(rates, MIN_RATE, 1.0 - MIN_RATE))


def _colours(n: int) -> list[str]:
    return [PALETTE[index % len(PALETTE)] for index in range(n)]
