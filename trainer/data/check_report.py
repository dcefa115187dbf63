"""What a check of recordings says: findings with their severity, files and remedy, and an overview by section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One kind of trouble with all the files that have it.

    Attributes:
        severity: ``error`` makes training or its figures worthless, ``warning`` spoils them, ``note`` is good to know.
        code: for programs, e.g. ``unreadable``.
        message: what was found, in a sentence.
        fix: what to do about it.
        paths: the files, if it is about files.
        details: what is to be said of each path, in the same order; empty if nothing.
    """

    severity: Severity
    code: str
    message: str
    fix: str
    paths: tuple[Path, ...] = ()
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class SectionSummary:
    """How many clips there are of one section of a machine, and how long they are."""

    machine: str
    section: str
    train_source: int
    train_target: int
    test_normal: int
    test_anomaly: int
    test_unknown: int
    supplemental: int
    classes: int
    shortest_s: float
    median_s: float
    longest_s: float


@dataclass(frozen=True)
class Report:
    """The outcome of a check.

    Attributes:
        n_clips: recordings that were looked at.
        hours: of those that could be read.
        classes: classes of the normal training clips.
        formats: ``16000 Hz, 1 channel`` -> number of files.
        sections: overview, sorted.
        findings: the gravest first.
    """

    n_clips: int
    hours: float
    classes: int
    formats: dict[str, int]
    sections: tuple[SectionSummary, ...]
    findings: tuple[Finding, ...]

    @property
    def has_errors(self) -> bool:
        """Whether training on these recordings, or trusting figures from them, makes no sense."""
        return any(finding.severity == "error" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Plain values; paths as text."""
        whole = asdict(self)
        for finding in whole["findings"]:
            finding["paths"] = [str(path) for path in finding["paths"]]
        return whole


def counted(n: int, one: str, many: str) -> str:
    """A number with its noun.

    >>> counted(1, "file is", "files are"), counted(2, "file is", "files are")
    ('1 file is', '2 files are')
    """
    return f"{n} {one if n == 1 else many}"


def gravest_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Errors, then warnings, then notes; otherwise in their order."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
