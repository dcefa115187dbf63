"""What an operator says of an event: that was normal, or that was an anomaly indeed.

`normal` enrols its sound through the gate. `anomaly` keeps it with the bank: the threshold goes below it where normal
sound allows that, and nothing that sounds like it is enrolled from then on. Both are new versions of the bank, in one
transaction; a roll-back undoes them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from edged.assembly import Assembly
from edged.errors import EnrolmentError, StateError
from edged.references import anomaly
from edged.references.clips import Clip
from edged.references.embedding import embedded_clips
from edged.references.enroll import TARGET, Terms, anomaly_bank, anomaly_monitor, enroll_domain
from edged.references.expectation import ExpectedAlarms, expected_alarms
from edged.references.gate import stacked
from edged.references.history import ScoreHistory
from edged.references.labelled import LabelledAnomaly, just_below, labelled_now, with_label
from edged.references.past import past_sound
from edged.references.store import BankStore

Verdict = Literal["normal", "anomaly"]


@dataclass(frozen=True)
class AnomalyReport:
    """What labelling an anomaly did.

    Attributes:
        event: its id.
        version: in use now.
        score: of the labelled sound; the threshold lies below it where `is_respected`.
        is_respected: whether the threshold lies below it: no enrolled normal clip scores as high, or it was forced.
        false_alarms: to be expected at the threshold in force now.
        false_alarms_if_forced: at a threshold below the labelled sound; None where it is in force.
        notes: in words.
    """

    stream: str
    monitor: str
    event: str
    verdict: Verdict
    version: int
    score: float
    threshold_before: float
    threshold: float
    is_respected: bool
    false_alarms: ExpectedAlarms
    false_alarms_if_forced: ExpectedAlarms | None
    notes: tuple[str, ...]
    accepted: bool = True
    dry_run: bool = False


def give_feedback(
    assembly: Assembly,
    store: BankStore,
    event_id: str,
    verdict: Verdict,
    *,
    domain: str | None = None,
    dry_run: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Act on what an operator says of an anomaly event; the report as JSON-serialisable facts.

    Args:
        domain: that a normal sound joins; None = ``target``.
        force: enrol a doubtful sound; lower the threshold below an anomaly whatever normal sound then does.

    Raises:
        EnrolmentError: its sound is not kept, is unfit, doubtful or said to be the opposite; nothing has changed.
        StateError: nothing is enrolled, or the database refused; nothing has changed.
        UsageError: the event is of another monitor.
    """
    heard = past_sound(assembly.config.state_path, [event_id])
    bank = anomaly_bank(assembly, store, heard.stream)
    if bank is None:
        raise StateError(f"stream '{heard.stream}': nothing is enrolled", fix="run `edged enroll --clips DIR` first")
    if verdict == "normal":
        terms = Terms(dry_run, force, f"feedback: event {event_id} was normal")
        report = enroll_domain(
            assembly, store, heard.stream, heard.clips, domain=TARGET if domain is None else domain, terms=terms
        )
        return report.facts() | {"event": event_id, "verdict": verdict}
    if heard.clips.refused:
        raise EnrolmentError(str(heard.clips.refused[0]))
    (clip,) = heard.clips.clips
    return asdict(_Labelling(assembly, store, heard.stream, bank).labelled(clip, Terms(dry_run, force)))


@dataclass(frozen=True)
class _Labelling:
    """A stream whose bank gets a label."""

    assembly: Assembly
    store: BankStore
    stream: str
    old: anomaly.AnomalyBank

    def labelled(self, clip: Clip, terms: Terms) -> AnomalyReport:
        """Keep a clip as an anomaly, in one transaction; one that is kept like that already makes no new version."""
        self._refuse_if_normal(clip)
        bundle = self.assembly.bundle(self.stream, anomaly.MONITOR)
        ((_, embeddings),) = embedded_clips(self.assembly, self.stream, anomaly.MONITOR, [clip])
        vectors = stacked(embeddings)
        one = labelled_now(clip.event, clip.name, clip.sha256, vectors, self.old.scorer, insists=terms.force)
        bank = anomaly.labelled_bank(bundle, self.old, with_label(self.old.labelled, one))
        report = self._report(bank, one)
        if terms.dry_run:
            return replace(report, dry_run=True)
        known = {(old.event_id, old.sha256, old.insists) for old in self.old.labelled}
        if (one.event_id, one.sha256, one.insists) in known:
            return replace(report, notes=("it is labelled as an anomaly already: nothing has changed", *report.notes))
        facts, arrays = anomaly.bank_to_store(bank, bundle)
        reason, based_on = f"feedback: event {one.event_id} was an anomaly", self.old.version
        version = self.store.commit(self.stream, anomaly.MONITOR, facts, arrays, reason=reason, based_on=based_on)
        return replace(report, version=version)

    def _refuse_if_normal(self, clip: Clip) -> None:
        for record in self.old.clips:
            if clip.sha256 == record.sha256 or clip.event == record.event:
                message = f"{clip.name}: enrolled as normal sound of domain '{record.label}' on {record.enrolled_at}"
                raise EnrolmentError(message, fix="undo that with `edged references rollback` first")

    def _report(self, new: anomaly.AnomalyBank, one: LabelledAnomaly) -> AnomalyReport:
        monitor = anomaly_monitor(self.assembly, self.stream, new)
        in_force = monitor.threshold if monitor.threshold is not None else new.threshold
        with ScoreHistory(self.assembly.config.state_path) as history:  # the scorer stays, so what it scored counts
            stretches = history.stretches(self.stream, anomaly.MONITOR, self.old.version)
        score = one.score(new.scorer)
        forced = None if in_force < score else expected_alarms(monitor, new, just_below(score), stretches)
        return AnomalyReport(
            self.stream, anomaly.MONITOR, one.event_id, "anomaly", self.old.version, score,
            self.old.threshold, new.threshold, one.event_id not in new.inseparable,
            expected_alarms(monitor, new, in_force, stretches), forced, tuple(_notes(new, score, in_force, forced)),
        )  # fmt: skip


def _notes(bank: anomaly.AnomalyBank, score: float, in_force: float, forced: ExpectedAlarms | None) -> list[str]:
    notes = []
    if forced is not None and in_force == bank.threshold:
        cost = "an unknown number of" if forced.per_day is None else f"about {forced.per_day:.1f}"
        notes.append(
            f"it cannot be told from normal sound: enrolled clips score as high ({score:.2f}), so the threshold stays; "
            f"below it there would be {cost} false alarms a day (--force takes them)"
        )
    elif forced is not None:
        notes.append(f"the configured threshold {in_force:.2f} lies above it ({score:.2f}): lower it, or take it out")
    return notes
