"""Which threshold is right for a monitor, from its enrolled clips and what it has heard since.

The enrolled clips speak as long as nothing longer was heard: each was judged by a bank without it, which is a little
stricter than what a running monitor does. A budget's threshold never lies further from the typical score than
`MOST_RAISED` times as far as the enrolment's own, nor above a sound that was labelled as an anomaly: a machine that
wears out slowly, or somebody who feeds it louder and louder sound below the threshold, gets no further than that. And
segments in alarm never count as normal sound; only `edged feedback EVENT normal` makes them that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from edged.config import AnomalySettings
from edged.decide.budget import BudgetThreshold, FalseAlarmRate, Run, budget_threshold, expected_false_alarms
from edged.decide.hysteresis import HysteresisSettings
from edged.decide.normal import NormalScores
from edged.decide.tail import gamma_quantile
from edged.decide.thresholds import ALARM_SPREADS, alarm_threshold
from edged.references.anomaly import AnomalyBank
from edged.references.history import Stretch, joined
from edged.references.thresholds import FoundThresholds

MOST_RAISED = 3.0
LEAST_ALONE = 10
"""The tail of fewer scores says nothing: with 5 clips a band drawn from it held the true rate of six devices in ten."""

Basis = Literal["configured", "enrolled clips", "counted", "extrapolated", "found earlier"]


@dataclass(frozen=True)
class Rule:
    """How a monitor turns scores into alarms.

    Attributes:
        hysteresis: when an alarm begins and ends.
        hop_s: between two segments.
        segment_s: length of a segment.
    """

    hysteresis: HysteresisSettings
    hop_s: float
    segment_s: float


@dataclass(frozen=True)
class Finding:
    """A threshold and what it rests on.

    Attributes:
        threshold: anomaly score.
        basis: where it comes from.
        rate: false alarms per day to be expected at it; of too little heard its middle is NaN.
        needed_h: hours that have to be heard before the budget can be kept; None without a budget, or if it is, or if
            too many alarms were left out of what was heard.
        is_capped: the budget would need a higher one than is allowed.
        domains: thresholds of the domains that were heard long enough by themselves.
    """

    threshold: float
    basis: Basis
    rate: FalseAlarmRate
    needed_h: float | None = None
    is_capped: bool = False
    domains: dict[str, float] = field(default_factory=dict)

    def found(self, bank: int, settings: AnomalySettings) -> FoundThresholds | None:
        """What to store: nothing where no budget's threshold was found."""
        if settings.false_alarms_per_day is None or self.basis not in {"counted", "extrapolated"}:
            return None
        budget, confidence = settings.false_alarms_per_day, settings.false_alarm_confidence
        return FoundThresholds(bank, budget, confidence, self.threshold, self.domains)


def enrolment_threshold(bank: AnomalyBank, settings: AnomalySettings, decision: Mapping[str, Any]) -> float:
    """The threshold of the enrolled clips by the configured method.

    Args:
        decision: of the bundle's manifest.
    """
    if settings.threshold_method == "mst-sd":
        return bank.threshold
    spreads = float(decision.get("threshold_spreads", ALARM_SPREADS))
    threshold = alarm_threshold(bank.scorer.normal_scores, spreads=spreads, method=settings.threshold_method)
    return threshold if bank.ceiling is None else min(threshold, bank.ceiling)


def find(
    bank: AnomalyBank, stretches: Sequence[Stretch], settings: AnomalySettings, rule: Rule, own_threshold: float
) -> Finding:
    """The threshold in force and its false alarms per day.

    Args:
        stretches: what the bank's version has heard, oldest first.
        own_threshold: the configured one, or that of the enrolled clips.
    """
    material = material_of(bank, stretches, settings.false_alarm_confidence, rule)
    if settings.threshold is not None:
        return Finding(settings.threshold, "configured", material.expected(settings.threshold))
    budget = settings.false_alarms_per_day
    if budget is None:
        return Finding(own_threshold, "enrolled clips", material.expected(own_threshold))
    found = material.for_budget(budget)
    if found.threshold is None or found.method == "none":
        return Finding(own_threshold, "enrolled clips", material.expected(own_threshold), found.needed_h)
    highest = highest_allowed(bank, own_threshold)
    threshold = min(found.threshold, highest)
    in_pieces = replace(rule, segment_s=rule.hop_s)  # where the domain changes, one segment's time ends with its hop
    domains = {
        name: min(own, highest)
        for name, runs in _by_domain(stretches).items()
        if (own := replace(material, runs=runs, rule=in_pieces).for_budget(budget).threshold) is not None
    }
    is_capped = threshold < found.threshold
    rate = material.expected(threshold) if is_capped else found.rate
    return Finding(threshold, found.method, rate, None, is_capped, domains)


@dataclass(frozen=True)
class Material:
    """Runs of normal scores, and how they are judged.

    Attributes:
        runs: of the clips, and of what was heard.
        n_alone: how many scores there are that do not overlap.
    """

    runs: Sequence[Run]
    n_alone: float
    confidence: float
    rule: Rule
    typical_score: float

    def expected(self, threshold: float) -> FalseAlarmRate:
        """False alarms at a threshold; of too few scores no more than the time without alarms tells."""
        rate = expected_false_alarms(
            self.runs, self.rule.hop_s, self.rule.hysteresis, threshold,
            confidence=self.confidence, segment_s=self.rule.segment_s, typical_score=self.typical_score,
        )  # fmt: skip
        is_quiet = all(run.scores.max() <= threshold for run in self.runs)  # else alarms were counted, and few suffice
        if not rate.heard_h or self.n_alone >= LEAST_ALONE or not is_quiet:
            return rate
        silent = gamma_quantile(0.5, (1.0 + self.confidence) / 2.0) * 24.0 / rate.heard_h
        high = max(silent, rate.high_per_day) if math.isfinite(rate.high_per_day) else silent
        return replace(rate, per_day=math.nan, low_per_day=0.0, high_per_day=high)

    def for_budget(self, false_alarms_per_day: float) -> BudgetThreshold:
        """The threshold that keeps a budget."""
        return budget_threshold(
            self.runs, self.rule.hop_s, self.rule.hysteresis, false_alarms_per_day,
            confidence=self.confidence, segment_s=self.rule.segment_s, typical_score=self.typical_score,
        )  # fmt: skip


def material_of(bank: AnomalyBank, stretches: Sequence[Stretch], confidence: float, rule: Rule) -> Material:
    """What is known of a bank's normal scores.

    Args:
        stretches: what the daemon heard and judged by this very scorer.
    """
    runs = basis_runs(bank, stretches, rule)
    n_alone = float(len(runs))  # a clip, or piece of a long one, counts once
    if stretches:
        n_alone = sum((len(run.scores) - 1) * rule.hop_s + rule.segment_s for run in runs) / rule.segment_s
    return Material(runs, n_alone, confidence, rule, _typical(bank))


def _typical(bank: AnomalyBank) -> float:
    return NormalScores.of(bank.scorer.normal_scores).typical


def highest_allowed(bank: AnomalyBank, own_threshold: float) -> float:
    """How far a budget may raise the threshold, whatever was heard."""
    typical = _typical(bank)
    raised = typical + MOST_RAISED * (own_threshold - typical)
    return raised if bank.ceiling is None else min(raised, bank.ceiling)


def basis_runs(bank: AnomalyBank, stretches: Sequence[Stretch], rule: Rule) -> list[Run]:
    """What was heard, and the enrolled clips as long as they are longer."""
    heard = [_run(group) for group in joined(stretches)]
    enrolled = enrolment_runs(bank)
    heard_s = sum(len(run.scores) for run in heard) * rule.hop_s
    enrolled_s = sum((len(run.scores) - 1) * rule.hop_s + rule.segment_s for run in enrolled)
    return heard if heard_s > enrolled_s else [*enrolled, *heard]


def enrolment_runs(bank: AnomalyBank) -> list[Run]:
    """Leave-one-out scores of every enrolled clip, or piece of a long one."""
    rows = next(iter(bank.references.values())).clips
    scores = bank.scorer.normal_scores
    known = [scores[rows == clip] for clip in dict.fromkeys(rows.tolist())]
    return [Run(run[np.isfinite(run)]) for run in known if np.isfinite(run).any()]


def _by_domain(stretches: Sequence[Stretch]) -> dict[str, list[Run]]:
    """Runs of each domain, where there are several."""
    groups: dict[str, list[list[Stretch]]] = {}
    before: Stretch | None = None
    for stretch in stretches:
        own = groups.setdefault(stretch.domain, [])
        is_alike = before and (before.domain, before.ceiling) == (stretch.domain, stretch.ceiling)
        if stretch.continues and is_alike:
            own[-1].append(stretch)
        else:
            own.append([stretch])
        before = stretch
    return {name: [_run(group) for group in own] for name, own in groups.items()} if len(groups) > 1 else {}


def _run(group: Sequence[Stretch]) -> Run:
    scores = np.concatenate([stretch.scores for stretch in group]).astype(np.float64)
    return Run(scores, group[0].ceiling, group[-1].ended_in_alarm)
