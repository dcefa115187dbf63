"""Does loudness alone tell normal from anomalous test clips? Then a figure says nothing about the sound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from trainer.data.check_classes import Section
from trainer.data.check_files import FileFacts
from trainer.data.check_report import Finding
from trainer.data.machine_clip import MachineClip
from trainer.evaluate.auc import pairwise_wins

TELLING_AUC = 0.8
TELLING_DEVIATIONS = 2.0


def level_auc(normal: Sequence[float], anomalous: Sequence[float]) -> tuple[float, float]:
    """AUC of the level, and by how many standard deviations of chance (Mann-Whitney) it differs from 0.5.

    >>> level_auc([-40.0, -41.0], [-30.0, -31.0])
    (1.0, 1.5491933384829668)
    """
    n, m = len(normal), len(anomalous)
    auc = float(pairwise_wins(normal, anomalous).mean())
    return auc, abs(auc - 0.5) / float(np.sqrt((n + m + 1) / (12.0 * n * m)))


def level_findings(heard: Sequence[tuple[MachineClip, FileFacts]]) -> list[Finding]:
    """A warning that lists the sections whose anomalies are told apart by level, in either direction.

    They are compared with the normal test clips, or with those of training where the test has none. Levels count to
    0.1 dB: whatever clips at one level differ by beyond that is rounding.
    """
    levels: dict[Section, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for clip, facts in heard:
        role = "train" if clip.for_training else clip.condition if clip.split == "test" else ""
        levels[clip.machine, clip.section][role].append(round(facts.level_dbfs, 1))
    telling = [text for section, roles in sorted(levels.items()) if (text := _telling("/".join(section), roles))]
    if not telling:
        return []
    message = f"loudness alone tells normal from anomalous clips (AUC of the level): {', '.join(telling)}"
    return [Finding("warning", "level", message, "bring all clips to one level before you believe a figure")]


def _telling(section: str, roles: Mapping[str, Sequence[float]]) -> str:
    normal, anomalous = roles.get("normal") or roles.get("train", ()), roles.get("anomaly", ())
    if not normal or not anomalous:
        return ""
    auc, deviations = level_auc(normal, anomalous)
    if max(auc, 1.0 - auc) <= TELLING_AUC or deviations <= TELLING_DEVIATIONS:
        return ""
    return f"{section} {auc:.2f}"
