"""Scores of normal and anomalous clips, and where each method puts its threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edged.flow import Float64Array
from trainer.evaluate.judged import JudgedSection
from trainer.report.figure import ANOMALOUS, INK, NORMAL
from trainer.report.threshold_table import Decision, method_label

N_BINS = 40
MAX_SPREADS = 15.0
"""Beyond so many spreads of the normal scores the axis is compressed, or the normal clips would fill one bin."""


def draw_histogram(axes: Any, section: JudgedSection) -> None:
    """Counts of clips over the anomaly score."""
    transform = score_scale(axes, section)
    edges = _edges(section.scores, transform)
    for scores, colour, label in ((section.normal, NORMAL, "normal"), (section.anomalous, ANOMALOUS, "anomalous")):
        axes.hist(scores, bins=edges, color=colour, alpha=0.6, label=label)
    axes.set(ylabel="clips", title="anomaly scores")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="upper right")


def draw_thresholds(axes: Any, decisions: Mapping[str, Decision]) -> None:
    """One row per method, a dot where its threshold lies."""
    rows = np.arange(len(decisions))
    axes.plot([d.threshold for d in decisions.values()], rows, "o", color=INK, markersize=3.5)
    axes.set_yticks(rows, [method_label(name) for name in decisions], fontsize=7)
    axes.set(ylim=(len(decisions) - 0.5, -0.5), xlabel="anomaly score")


def score_scale(axes: Any, section: JudgedSection) -> float:
    """Set the scale of the score axis; the width of its linear part, 0 where all of it is linear."""
    low, high = np.percentile(section.normal, [10.0, 90.0])
    spread = float(high - low)
    if spread <= 0.0 or np.ptp(section.scores) < MAX_SPREADS * spread:
        return 0.0
    axes.set_xscale("asinh", linear_width=spread)
    return spread


def _edges(scores: Float64Array, linear_width: float) -> Float64Array:
    """Bins of equal width on the axis as it is drawn."""
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        return np.array([low - 0.5, low + 0.5])
    if linear_width == 0.0:
        return np.linspace(low, high, N_BINS + 1)
    first, last = (float(np.arcsinh(end / linear_width)) for end in (low, high))
    inner = np.sinh(np.linspace(first, last, N_BINS + 1)[1:-1]) * linear_width
    return np.asarray(np.r_[low, inner, high], np.float64)  # there and back, the ends would not be quite the same
