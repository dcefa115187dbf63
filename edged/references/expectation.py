"""How many false alarms a day a bank is to be expected to raise, and what that figure rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edged.decide.budget import CONFIDENCE
from edged.pipeline import AnomalyMonitor
from edged.references.anomaly import AnomalyBank
from edged.references.finding import enrolment_runs, material_of
from edged.references.history import Stretch


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
    material = material_of(bank, stretches, CONFIDENCE, monitor.rule)
    rate = material.expected(threshold)
    n_enrolled = len(enrolment_runs(bank))
    enrolled = f"leave-one-out scores of {n_enrolled} enrolled clips"
    rests_on = enrolled if not stretches else "scores the daemon heard"
    if stretches and len(material.runs) > n_enrolled:
        rests_on = f"{enrolled} and scores the daemon heard"
    per_day, low, high = (_finite(value) for value in (rate.per_day, rate.low_per_day, rate.high_per_day))
    return ExpectedAlarms(threshold, per_day, low, high, rate.heard_h, rests_on)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
