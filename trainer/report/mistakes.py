"""The clips that a system gets most wrong: what to listen to first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.evaluate.judged import JudgedSection

N_MISTAKES = 6


@dataclass(frozen=True)
class Mistake:
    """A clip on the wrong side of others.

    Attributes:
        path: the recording.
        section: `machine/section`.
        anomaly_score: its score.
        is_anomalous: what it is.
        confusion: share of the section's clips of the other kind on the wrong side of it; 0 = no mistake.
    """

    path: Path
    section: str
    anomaly_score: float
    is_anomalous: bool
    confusion: float


def worst_mistakes(sections: Sequence[JudgedSection], n: int = N_MISTAKES) -> tuple[list[Mistake], list[Mistake]]:
    """The n normal clips that look most anomalous and the n anomalous ones that look most normal, worst first.

    Clips of different sections are compared by their rank in their own section.
    """
    every = [mistake for section in sections for mistake in _mistakes(section)]
    normal = sorted((m for m in every if not m.is_anomalous), key=lambda m: (-m.confusion, -m.anomaly_score))
    anomalous = sorted((m for m in every if m.is_anomalous), key=lambda m: (-m.confusion, m.anomaly_score))
    return normal[:n], anomalous[:n]


def _mistakes(section: JudgedSection) -> list[Mistake]:
    normal, anomalous = np.sort(section.normal), np.sort(section.anomalous)
    below = np.searchsorted(anomalous, section.scores, side="left") / len(anomalous)
    above = 1.0 - np.searchsorted(normal, section.scores, side="right") / len(normal)
    confusion = np.where(section.is_anomalous, above, below)
    return [
        Mistake(path, section.name, float(score), bool(flag), float(share))
        for path, score, flag, share in zip(section.paths, section.scores, section.is_anomalous, confusion, strict=True)
    ]
