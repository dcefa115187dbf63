"""What each way of estimating a threshold decides (thesis 4.2.1, Tables 10 and 11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edged.decide.thresholds import METHODS, MST_STAGES, alarm_threshold
from trainer.evaluate.counts import decided
from trainer.evaluate.f1_ev import optimal_threshold
from trainer.evaluate.judged import JudgedSection
from trainer.evaluate.thresholds import thresholds

MULTI_STAGE = (*METHODS, "ocsvm")
"""Those with a multi-stage form in the thesis; GESD and cleverSD go on until they are content anyway."""
ALARM = "edged"
"""The daemon's own threshold, set for calm."""
OPTIMUM = "optimum"
"""The best threshold there is, chosen with the labels: what the others are held against."""


@dataclass(frozen=True)
class Decision:
    """Figures of one threshold on one section; each share within [0, 1]."""

    threshold: float
    f1: float
    precision: float
    recall: float
    false_alarm_rate: float


@dataclass(frozen=True)
class ThresholdRow:
    """One method over all sections.

    Attributes:
        method: its name.
        f1_by_machine: machine type -> mean F1 over its sections.
        f1: mean over the machine types, as in Table 10.
        precision: mean over all sections; `recall` and `false_alarm_rate` likewise.
    """

    method: str
    f1_by_machine: dict[str, float]
    f1: float
    precision: float
    recall: float
    false_alarm_rate: float


def section_thresholds(section: JudgedSection) -> dict[str, float]:
    """Method -> threshold, from the normal scores; the optimum alone where there are none.

    The daemon's threshold is set from segments; here it is set from clips, as all others are.
    """
    result = {}
    if len(section.normal_scores):
        result = thresholds(section.normal_scores)
        several = thresholds(section.normal_scores, MST_STAGES)
        result |= {f"mst-{name}": several[name] for name in MULTI_STAGE}
        result[ALARM] = alarm_threshold(section.normal_scores)
    return result | {OPTIMUM: optimal_threshold(section.normal, section.anomalous)}


def section_decisions(section: JudgedSection) -> dict[str, Decision]:
    """Method -> what its threshold makes of the test clips."""
    return {name: _decision(section, value) for name, value in section_thresholds(section).items()}


def threshold_rows(decisions: Sequence[tuple[str, dict[str, Decision]]]) -> list[ThresholdRow]:
    """Table 10: one row per method that every section has.

    Args:
        decisions: (machine type, `section_decisions`) of every section.
    """
    first = decisions[0][1] if decisions else {}
    return [_row(name, decisions) for name in first if all(name in found for _, found in decisions)]


def method_label(name: str) -> str:
    """As the thesis writes it.

    >>> method_label("mst-sd"), method_label("cleversd"), method_label("edged")
    ('MST-SD', 'cleverSD', 'edged')
    """
    return {"cleversd": "cleverSD"}.get(name, name if name in {ALARM, OPTIMUM} else name.upper())


def _decision(section: JudgedSection, threshold: float) -> Decision:
    counts = decided(section.normal, section.anomalous, threshold)
    rate = counts.n_false_positive / len(section.normal)
    return Decision(threshold, counts.f1, counts.precision, counts.recall, rate)


def _row(name: str, decisions: Sequence[tuple[str, dict[str, Decision]]]) -> ThresholdRow:
    own = [(machine, found[name]) for machine, found in decisions]
    machines = dict.fromkeys(machine for machine, _ in own)
    by_machine = {m: float(np.mean([d.f1 for machine, d in own if machine == m])) for m in machines}

    def mean_of(figure: str) -> float:
        return float(np.mean([getattr(decision, figure) for _, decision in own]))

    mean_f1 = float(np.mean(list(by_machine.values())))
    return ThresholdRow(name, by_machine, mean_f1, mean_of("precision"), mean_of("recall"), mean_of("false_alarm_rate"))
