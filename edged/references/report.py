"""What an enrolment did, or would do: for people, for `--json` and for the control socket alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edged.assembly import MonitorName
from edged.errors import EnrolmentError
from edged.references.clips import RefusedClip, listed
from edged.references.expectation import ExpectedAlarms
from edged.references.gate import GateFinding, JudgedClip
from edged.references.gate_domain import Overlap


@dataclass(frozen=True)
class EnrolmentReport:
    """What an enrolment did.

    Attributes:
        version: in use now; with `dry_run` the one there was.
        added_clips: how many of the clips the bank holds now, or would hold; old ones it gave up are in the notes.
        threshold: anomaly score; None for keywords. `threshold_before`: the one there was.
        notes: what was passed over, and remarks of the gate.
        accepted: whether it was, or would be, done.
        doubts: what needs `--force`.
        refused: names of clips that cannot be used, with the kind of fault and the reason.
        clips: every clip with its leave-one-out score and verdict.
        left_out: refused and doubtful clips that the others do without (of words only).
        overlap: of the new domain with the old ones.
        strength_factor: how much stronger a fault in the old sound must be to be noticed; 1 = as before.
        false_alarms: to be expected with the new bank.
    """

    stream: str
    monitor: MonitorName
    label: str
    version: int
    added_clips: int
    total_clips: int
    threshold: float | None
    notes: tuple[str, ...]
    accepted: bool = True
    dry_run: bool = False
    doubts: tuple[str, ...] = ()
    refused: tuple[RefusedClip, ...] = ()
    clips: tuple[JudgedClip, ...] = ()
    left_out: tuple[JudgedClip, ...] = ()
    threshold_before: float | None = None
    overlap: Overlap | None = None
    strength_factor: float | None = None
    false_alarms: ExpectedAlarms | None = None

    def facts(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)


def refusal(report: EnrolmentReport) -> EnrolmentError:
    """The error that says why nothing was enrolled, with the report."""
    if report.refused and not report.left_out:
        n_clips = len(report.refused)
        message = (
            f"{n_clips} {'clip' if n_clips == 1 else 'clips'} refused, nothing enrolled:\n  {listed(report.refused)}"
        )
        is_labelled = any(clip.fault == "like an anomaly" for clip in report.refused)
        undo = ", or take the label back with `edged references rollback`" if is_labelled else ""
        return EnrolmentError(message, fix="leave them out" + undo, report=report.facts())
    message = f"doubtful, nothing enrolled:\n  {listed(report.doubts)}\n "
    also = ", with the doubtful clips that are left out now" if _are_doubtful(report.left_out) else ""
    fix = f"--dry-run shows all figures, --force enrols it all the same{also}"
    return EnrolmentError(message, fix=fix, report=report.facts())


def _are_doubtful(left_out: Sequence[JudgedClip]) -> bool:
    return any(clip.verdict == "left out" for clip in left_out)


def judged_clips(
    finding: GateFinding, refused: Sequence[RefusedClip], copies: Sequence[tuple[str, str]]
) -> tuple[JudgedClip, ...]:
    """All clips that were named: scored ones, refused ones, copies."""
    unfit = {clip.name for clip in refused}
    return (
        *(clip for clip in finding.clips if clip.name not in unfit),
        *(JudgedClip(clip.name, "refused", None, clip.reason) for clip in refused),
        *(JudgedClip(name, "copy", None, f"the same recording as {first}") for name, first in copies),
    )
