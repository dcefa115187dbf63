"""Clips that sound like a labelled anomaly: what was called a fault is not made normal by enrolling it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edged.flow import Float32Array
from edged.references.anomaly import AnomalyBank
from edged.references.gate_set import clip_of_row, joint_points
from edged.references.joint import nearest_distances
from edged.references.labelled import LabelledAnomaly
from edged.score.distances import euclidean, without_own_clip

LIKE = 2.0
"""A segment resembles an anomaly within this times the usual distance between enrolled clips.

Measured on real machines and a synthetic plant: other clips of a labelled fault lie at 1.1 (95 % of those that are
noticed at all below 2), normal sound of a domain that was never enrolled at 3.5 (0.3 % below 2).
"""


def resembling(old: AnomalyBank, clips: Sequence[Mapping[str, Float32Array]]) -> dict[int, str]:
    """New clips of which at least half the segments sound like a labelled anomaly, and less like any reference.

    Anomalies that cannot be told from normal sound anyway are passed over.

    Args:
        old: the bank before the clips are added.
        clips: for every clip representation name -> float32 (n_segments, dim).

    Returns:
        place of the clip -> event of the anomaly.
    """
    labelled = [one for one in old.labelled if one.event_id not in old.inseparable]
    if not labelled:
        return {}
    space, points = joint_points(old)
    anomalies = [(one.event_id, space.points(one.vectors)) for one in labelled]
    reach = LIKE * _usual_distance(old)
    found = {}
    for place, clip in enumerate(clips):
        own = space.points(clip)
        to_anomalies = np.stack([nearest_distances(own, rows) for _, rows in anomalies])  # (n_anomalies, n_segments)
        nearest = to_anomalies.min(axis=0)
        if np.mean((nearest < reach) & (nearest < nearest_distances(own, points))) >= 0.5:
            found[place] = anomalies[int(to_anomalies.min(axis=1).argmin())][0]
    return found


def swallowed(old: AnomalyBank, new: AnomalyBank) -> list[LabelledAnomaly]:
    """Labelled anomalies that the old bank raises an alarm for and the new one would not."""
    return [
        one for one in new.labelled if one.score(old.scorer) > old.threshold and one.score(new.scorer) <= new.threshold
    ]


def _usual_distance(bank: AnomalyBank) -> float:
    """Median distance of a segment to the nearest one of another clip; of its own clip where there is but one."""
    _, points = joint_points(bank)
    owner = clip_of_row(bank)
    apart = without_own_clip(euclidean(points, points), owner[:, np.newaxis] == owner)
    nearest = apart.min(axis=1)
    known = nearest[np.isfinite(nearest)]
    return float(np.median(known)) if len(known) else float(np.linalg.norm(points.std(axis=0)))
