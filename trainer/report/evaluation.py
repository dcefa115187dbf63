"""All that the page is made of; what is not in here is not on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edged.errors import UsageError
from edged.flow import Float32Array
from trainer.evaluate.bundle import Embeddings, SectionScores
from trainer.evaluate.judged import JudgedSection


@dataclass(frozen=True)
class Evaluation:
    """One or several systems on the same sections.

    Attributes:
        title: of the page.
        systems: name -> its judged sections, each with normal and anomalous clips.
        embeddings: name of a system -> its embeddings, for the map.
        listed: sections with scores but without figures, of the first system.
        levels_dbfs: file -> RMS, for the control by loudness alone; may be empty.
        spectrograms: file -> float32 (n_frames, n_bins), dB, 0 to 8 kHz, `duration_s` long; for the worst errors.
        durations_s: file -> length of the recording.
        facts: what was measured with what: label -> text.
        notes: what a reader of the figures has to know.
        seed: of the bootstrap and the map.

    Raises:
        UsageError: a section without normal or anomalous clips, or a score that is not finite (the file is named).
    """

    title: str
    systems: Mapping[str, Sequence[JudgedSection]]
    embeddings: Mapping[str, Embeddings] = field(default_factory=dict)
    listed: Sequence[SectionScores] = ()
    levels_dbfs: Mapping[Path, float] = field(default_factory=dict)
    spectrograms: Mapping[Path, Float32Array] = field(default_factory=dict)
    durations_s: Mapping[Path, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name, sections in self.systems.items():
            for section in sections:
                _check(name, section)

    @property
    def section_names(self) -> list[str]:
        """Every section that some system judged, in order of appearance."""
        return list(dict.fromkeys(section.name for sections in self.systems.values() for section in sections))


def _check(system: str, section: JudgedSection) -> None:
    for path, score in zip(section.paths, section.scores, strict=True):
        if not np.isfinite(score):
            raise UsageError(f"{system}, {section.name}: {path} is scored {score}", fix="leave it out, or score again")
    if len(section.normal) == 0 or len(section.anomalous) == 0:
        raise UsageError(
            f"{system}, {section.name}: figures need normal and anomalous clips", fix="list the section instead"
        )
