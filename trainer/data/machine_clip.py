"""One recording of a machine, what is known about it, and the class it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Domain = Literal["source", "target", "unknown"]
Split = Literal["train", "test", "supplemental"]
Condition = Literal["normal", "anomaly", "unknown"]
Level = Literal["none", "machine", "section", "attributes"]

SUFFIXES = (".wav", ".flac", ".ogg")


@dataclass(frozen=True)
class MachineClip:
    """One recording and what its place in the data set says about it.

    Attributes:
        path: the file.
        machine: machine type, e.g. ``fan``.
        section: two digits; with the signal-to-noise ratio (MIMII) or channel (ToyADMOS) where one sound is there
            several times, so that no copy of a clip is a reference when it is judged.
        domain: ``unknown`` in evaluation sets.
        split: ``train`` or ``test``; data sets without a split count as ``train`` when normal. ``supplemental`` is what
            DCASE 2025 gives beside them: machines without noise (``normal``) or noise alone (``unknown``).
        condition: ``unknown`` in evaluation sets.
        attributes: operating conditions, empty where none are given.
    """

    path: Path
    machine: str
    section: str
    domain: Domain
    split: Split
    condition: Condition
    attributes: str = ""

    @property
    def label(self) -> str:
        """Class for training: machine type x section x attributes (thesis 5.3.1)."""
        return label_at(self, "attributes")

    @property
    def reference_domain(self) -> str:
        """The domain it is enrolled and judged in: one that is unknown counts as source."""
        return "source" if self.domain == "unknown" else self.domain

    @property
    def for_training(self) -> bool:
        """Whether an embedder may learn from it."""
        return self.split == "train" and self.condition == "normal"


def label_at(clip: MachineClip, level: Level) -> str:
    """Class of a clip when fewer are told apart (thesis, Tables 5 and 21): all one class, one per machine type ...

    >>> clip = MachineClip(Path("a.wav"), "fan", "00", "source", "train", "normal", "speed_6")
    >>> [label_at(clip, level) for level in ("none", "machine", "section", "attributes")]
    ['all', 'fan', 'fan/00', 'fan/00/speed_6']
    """
    parts = {"machine": 1, "section": 2, "attributes": 3}
    if level == "none":
        return "all"
    return "/".join(part for part in (clip.machine, clip.section, clip.attributes)[: parts[level]] if part)
