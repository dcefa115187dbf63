"""Figures over domains and sections as DCASE task 2 defines them from 2022 on, and as the thesis does (5.2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import hmean

from edged.score.references import SOURCE
from trainer.evaluate.roc import partial_auc, roc_auc


@dataclass(frozen=True)
class SectionFigures:
    """One section of one machine.

    Attributes:
        auc: one ROC curve for both domains.
        partial_auc: likewise, up to a false positive rate of 0.1.
        source_auc: normal clips of the source domain against the anomalies of both.
        target_auc: normal clips of the target domain against the anomalies of both.
    """

    auc: float
    partial_auc: float
    source_auc: float
    target_auc: float


def section_figures(anomaly_scores: ArrayLike, is_anomalous: ArrayLike, domains: Sequence[str]) -> SectionFigures:
    """Figures of one section.

    Only the normal clips are taken by domain: an alarm threshold has to hold in a domain, whereas an anomaly is to be
    found wherever it occurs (DCASE 2022 task 2, evaluation metrics).

    Args:
        anomaly_scores: (n,).
        is_anomalous: bool (n,).
        domains: n names, `SOURCE` or another.

    Raises:
        ValueError: a domain without normal clips, or no anomalies.
    """
    scores, anomalous = np.asarray(anomaly_scores, np.float64), np.asarray(is_anomalous, bool)
    in_source = np.asarray([domain == SOURCE for domain in domains], bool)
    normal, anomalies = scores[~anomalous], scores[anomalous]
    return SectionFigures(
        auc=roc_auc(normal, anomalies),
        partial_auc=partial_auc(normal, anomalies),
        source_auc=roc_auc(scores[~anomalous & in_source], anomalies),
        target_auc=roc_auc(scores[~anomalous & ~in_source], anomalies),
    )


def harmonic_mean(values: Iterable[float]) -> float:
    """Harmonic mean of figures in [0, 1]: one bad section spoils it; 0 if any is 0.

    >>> harmonic_mean([0.5, 1.0])
    0.6666666666666666
    """
    return float(hmean(np.fromiter(values, np.float64)))


def dcase_score(sections: Sequence[SectionFigures]) -> float:
    """The official score from 2022 on: harmonic mean of both domains' AUC and of the pAUC, over all sections."""
    return harmonic_mean(v for s in sections for v in (s.source_auc, s.target_auc, s.partial_auc))


def thesis_score(sections: Sequence[SectionFigures]) -> float:
    """The thesis's score: harmonic mean of AUC and pAUC regardless of the domain, over all sections (5.2.1)."""
    return harmonic_mean(v for s in sections for v in (s.auc, s.partial_auc))
