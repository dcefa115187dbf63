"""F1 over the threshold, and the ranges over which F1-EV and its bounded form take the mean (thesis 4.3, Figure 17)."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainer.evaluate.f1_ev import BETA, f1_scores, optimal_threshold
from trainer.evaluate.judged import JudgedSection
from trainer.report.figure import INK, PALETTE, thinned


def draw_f1(axes: Any, section: JudgedSection) -> None:
    """The step function; the bounded range is filled and the optimum marked."""
    steps = np.unique(section.scores)
    x, y = thinned(steps, f1_scores(section.normal, section.anomalous, steps))
    axes.step(x, y, where="post", color=INK, linewidth=1.2)
    axes.fill_between(x, y, step="post", color="#888888", alpha=0.15, linewidth=0, label="F1-EV")
    low, high = _bounded_range(section)
    inside = np.r_[low, steps[(steps > low) & (steps < high)], high]
    values = f1_scores(section.normal, section.anomalous, inside)
    axes.fill_between(inside, values, step="post", color=PALETTE[2], alpha=0.4, linewidth=0, label="bounded F1-EV")
    axes.axvline(optimal_threshold(section.normal, section.anomalous), color=PALETTE[2], linewidth=1, linestyle="--")
    axes.set(xlabel="threshold", ylabel="F1", title="F1 over the threshold", ylim=(0.0, 1.02))
    axes.legend(loc="lower left")


def _bounded_range(section: JudgedSection) -> tuple[float, float]:
    """Ends of the range (eq. 50)."""
    margin = BETA * float(section.normal.std())
    low = float(section.normal.mean()) - margin
    return low, max(low, optimal_threshold(section.normal, section.anomalous) + margin)
