"""How many false alarms a day a bank is to be expected to raise, and what that figure rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edged.decide.budget import expected_false_alarms
from edged.decide.normal import NormalScores
from edged.decide.tail import gamma_quantile
from edged.pipeline import AnomalyMonitor
from edged.references.anomaly import AnomalyBank
from edged.references.finding import basis_runs, enrolment_runs
from edged.references.history import Stretch

LEAST_CLIPS = 10
"""The tail of fewer scores says nothing: with 5 clips a band drawn from it held the true rate of six devices in ten."""
_BAND_END = 0.95


@dataclass(frozen=True)
class ExpectedAlarms:
    """False alarms per day at a threshold.

    Attributes:
        threshold: anomaly score.
        per_day: the middle of what is likely; None where nothing was heard, or too little to say.
        low_per_day: with `high_per_day` the band of nine in ten; None = no upper end is known. Where too little was
            heard the upper end is what silence for so long allows.
        heard_h: hours of normal sound it rests on.
        rests_on: these hours in words.
    """

    threshold: float
    per_day: float | None
    low_per_day: float | None
    high_per_day: float | None
    heard_h: float
    rests_on: str


def expected_alarms(
    monitor: AnomalyMonitor, bank: AnomalyBank, threshold: float, stretches: Sequence[Stretch] = ()
) -> ExpectedAlarms:
    """What a monitor would do with a bank.

    Args:
        monitor: of the stream, for its rule.
        stretches: what the daemon heard and judged by this very scorer.
    """
    rule = monitor.rule
    runs = basis_runs(bank, stretches, rule)
    typical = NormalScores.of(bank.scorer.normal_scores).typical
    rate = expected_false_alarms(
        runs, rule.hop_s, rule.hysteresis, threshold, segment_s=rule.segment_s, typical_score=typical
    )
    n_enrolled = len(enrolment_runs(bank))
    enrolled = f"leave-one-out scores of {n_enrolled} enrolled clips"
    n_alone = len(runs) if not stretches else rate.heard_h * 3600.0 / rule.segment_s
    rests_on = enrolled if not stretches else "scores the daemon heard"
    if stretches and len(runs) > n_enrolled:
        rests_on = f"{enrolled} and scores the daemon heard"
    per_day, low, high = (_finite(value) for value in (rate.per_day, rate.low_per_day, rate.high_per_day))
    is_quiet = all(run.scores.max() <= threshold for run in runs)  # else alarms were counted, and few clips suffice
    if rate.heard_h and n_alone < LEAST_CLIPS and is_quiet:
        return _of_too_little(threshold, high, rate.heard_h, rests_on)
    return ExpectedAlarms(threshold, per_day, low, high, rate.heard_h, rests_on)


def _of_too_little(threshold: float, high: float | None, heard_h: float, rests_on: str) -> ExpectedAlarms:
    """No more than the time without alarms tells, whatever the few scores look like."""
    silent = gamma_quantile(0.5, _BAND_END) * 24.0 / heard_h
    return ExpectedAlarms(threshold, None, 0.0, max(silent, high or 0.0), heard_h, rests_on)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
