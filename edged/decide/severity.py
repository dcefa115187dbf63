"""How grave an anomaly is: how far its peak lies beyond the threshold, and how long it has lasted.

    excess = (peak - threshold) / (threshold - typical)     1: as far beyond the threshold as that is from normal

    excess    0 ........ MEDIUM_EXCESS ........ HIGH_EXCESS ........
                  low               medium                high
    and one step up for every entry of STEPS_UP_AFTER_S that the anomaly has outlasted.

So a barely audible fault that does not go away is not "low" for ever. Severity never falls while an alarm lasts, unless
somebody changes the threshold.
"""

from __future__ import annotations

from edged.flow import Severity

LEVELS: tuple[Severity, ...] = ("low", "medium", "high")
MEDIUM_EXCESS = 0.5
HIGH_EXCESS = 2.0
STEPS_UP_AFTER_S = (600.0, 3600.0)
MIN_REACH = 0.3
"""Smallest distance from normal to the threshold that excess is measured in, in units of the normalised score."""


def excess(peak_score: float, threshold: float, typical_score: float) -> float:
    """How far a score lies beyond the threshold, in distances of the threshold from normal sound.

    >>> excess(12.0, 6.0, 0.0), excess(6.0, 6.0, 0.0)
    (1.0, 0.0)
    """
    return (peak_score - threshold) / max(threshold - typical_score, MIN_REACH)


def severity(peak_score: float, threshold: float, typical_score: float, duration_s: float) -> Severity:
    """How grave an anomaly is so far.

    Args:
        peak_score: highest anomaly score since its onset.
        threshold: in force; `typical_score`: what normal sound scores.
        duration_s: since its onset, until its offset once it has ended.

    >>> severity(7.0, 6.0, 0.0, 30.0), severity(7.0, 6.0, 0.0, 1000.0), severity(20.0, 6.0, 0.0, 30.0)
    ('low', 'medium', 'high')
    """
    beyond = excess(peak_score, threshold, typical_score)
    by_peak = (beyond >= MEDIUM_EXCESS) + (beyond >= HIGH_EXCESS)
    by_time = sum(duration_s >= after_s for after_s in STEPS_UP_AFTER_S)
    return LEVELS[min(by_peak + by_time, len(LEVELS) - 1)]
