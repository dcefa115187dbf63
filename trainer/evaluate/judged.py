"""What a system says about the test clips of a section, and the figures of it: the common ground of all comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array
from edged.score.references import SOURCE
from trainer.evaluate.domains import harmonic_mean
from trainer.evaluate.f1_ev import bounded_f1_ev, f1_ev
from trainer.evaluate.roc import equal_error_rate, partial_auc, roc_auc

FIGURES = ("auc", "partial_auc", "source_auc", "target_auc", "source_partial_auc", "target_partial_auc")
"""Threshold-free figures of ranking; the harmonic mean over sections is taken of each."""


@dataclass(frozen=True)
class JudgedSection:
    """Scores of one section (one machine, or one kind of machine under one number).

    Attributes:
        machine: machine type.
        section: its number or name.
        scores: (n,) anomaly scores of the test clips.
        is_anomalous: bool (n,).
        domains: n acoustic domains, `SOURCE` or another name.
        paths: n files.
        normal_scores: (m,) scores of the enrolled normal clips, each left out of what it is judged by; what thresholds
            are estimated from. Empty where a system does not give them.
    """

    machine: str
    section: str
    scores: Float64Array
    is_anomalous: NDArray[np.bool_]
    domains: tuple[str, ...]
    paths: tuple[Path, ...]
    normal_scores: Float64Array

    @property
    def name(self) -> str:
        """`machine/section`."""
        return f"{self.machine}/{self.section}"

    @property
    def normal(self) -> Float64Array:
        """Scores of the normal test clips."""
        return self.scores[~self.is_anomalous]

    @property
    def anomalous(self) -> Float64Array:
        """Scores of the anomalous test clips."""
        return self.scores[self.is_anomalous]


def section_figures(section: JudgedSection) -> dict[str, float]:
    """AUC, pAUC (p = 0.1) by domain and for both, EER, F1-EV and its bounded form; each within [0, 1].

    By domain means the normal clips of that domain against the anomalies of that domain, as the thesis has it; where a
    domain holds no anomalies or no normal clips its figures are missing.

    Raises:
        ValueError: no normal or no anomalous test clips.
    """
    result = {
        "auc": roc_auc(section.normal, section.anomalous),
        "partial_auc": partial_auc(section.normal, section.anomalous),
        "eer": equal_error_rate(section.normal, section.anomalous),
        "f1_ev": f1_ev(section.normal, section.anomalous),
        "bounded_f1_ev": bounded_f1_ev(section.normal, section.anomalous),
    }
    in_source = np.array([domain == SOURCE for domain in section.domains], bool)
    for name, chosen in (("source", in_source), ("target", ~in_source)):
        normal = section.scores[chosen & ~section.is_anomalous]
        anomalous = section.scores[chosen & section.is_anomalous]
        if len(normal) and len(anomalous):
            result[f"{name}_auc"] = roc_auc(normal, anomalous)
            result[f"{name}_partial_auc"] = partial_auc(normal, anomalous)
    return result


def mean_figures(sections: Sequence[JudgedSection], *, harmonic: bool = True) -> dict[str, float]:
    """Each figure over all sections that have it: its harmonic mean, or the arithmetic one (thesis chapter 3).

    F1-EV, its bounded form and the EER are averaged arithmetically in either case.
    """
    figures = [section_figures(section) for section in sections]
    names = dict.fromkeys(name for one in figures for name in one)
    result = {}
    for name in names:
        values = [one[name] for one in figures if name in one]
        result[name] = harmonic_mean(values) if harmonic and name in FIGURES else float(np.mean(values))
    return result
