"""What speaks against reading too much into the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainer.evaluate.bundle import first_names
from trainer.evaluate.judged import JudgedSection

FEW_CLIPS = 20
"""Below, the pAUC up to a false positive rate of 0.1 rests on one or two normal clips."""
TELLING_AUC = 0.9

LOUD = (
    "Loudness alone tells normal and anomalous clips apart in {}: figures there do not show that a system hears what "
    "is wrong. Compare with recordings brought to one level."
)
FEW = (
    f"Too few test clips to mean much in {{}}: below {FEW_CLIPS} of a kind the pAUC rests on one or two clips, and the "
    "interval of a perfect ranking shrinks to nothing without being certain."
)
THIN = "Thresholds are estimated from few normal clips in {}: they have not shown the tail of normal sound."


def doubts(sections: Sequence[JudgedSection], level_aucs: Mapping[str, float]) -> list[str]:
    """Sentences for the reader.

    Args:
        sections: every section once.
        level_aucs: section -> AUC of loudness alone, where it is known.
    """
    told = [f"{name} (AUC {auc:.2f})" for name, auc in level_aucs.items() if max(auc, 1.0 - auc) >= TELLING_AUC]
    few = [
        f"{s.name} ({len(s.normal)} normal, {len(s.anomalous)} anomalous)"
        for s in sections
        if min(len(s.normal), len(s.anomalous)) < FEW_CLIPS
    ]
    thin = [f"{s.name} ({len(s.normal_scores)})" for s in sections if 0 < len(s.normal_scores) < FEW_CLIPS]
    found = ((LOUD, told), (FEW, few), (THIN, thin))
    return [sentence.replace("{}", first_names(names)) for sentence, names in found if names]
