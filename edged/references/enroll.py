"""Enrolment: clips in, a new version of a bank out, in one transaction; the old one stays until then.

clips -> examined one by one -> embedded -> a new bank in memory -> gate -> committed
               |                    |                             |
            refused              like an anomaly: refused      doubtful: needs `force`
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edged.assembly import Assembly
from edged.config import AnomalySettings
from edged.errors import EnrolmentError
from edged.pipeline import AnomalyMonitor
from edged.references import anomaly, keyword
from edged.references.bank import ClipRecord
from edged.references.clips import ANOMALY_CLIPS, KEYWORD_CLIPS, Clip, ClipSet, RefusedClip, examined, find_audio
from edged.references.embedding import Track, embedded_clips
from edged.references.expectation import expected_alarms
from edged.references.gate import Embedded, GateFinding, judge, like_anomalies, of_wrong_rate
from edged.references.past import past_sound
from edged.references.report import EnrolmentReport, judged_clips, refusal
from edged.references.search import printable_name
from edged.references.store import BankStore
from edged.score.references import SOURCE

TARGET = "target"
MAX_LABEL_CHARACTERS = 64
STREAM_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}"

Bank = anomaly.AnomalyBank | keyword.KeywordBank


@dataclass(frozen=True)
class Terms:
    """How an enrolment is meant.

    Attributes:
        dry_run: look and report, change nothing.
        force: enrol what is only doubtful.
        reason: for the history; empty = "enrolled DOMAIN".
    """

    dry_run: bool = False
    force: bool = False
    reason: str = ""


ORDINARY = Terms()


def enroll_paths(
    assembly: Assembly,
    store: BankStore,
    stream: str,
    paths: Sequence[Path],
    *,
    domain: str | None = None,
    keyword: str | None = None,
    channel: int = 0,
    terms: Terms = ORDINARY,
    track_reading: Track = iter,
    track: Track = iter,
) -> dict[str, Any]:
    """Enrol files and directories of clips; the report as JSON-serialisable facts.

    Args:
        keyword: the word that is spoken in them; None = normal sound of a machine.
        track_reading: shows progress while every clip is read and examined; `track`: while they are embedded.

    Raises:
        EnrolmentError: a clip cannot be used, or the set is doubtful; nothing has changed.
        StateError: the database refused; nothing has changed.
    """
    limits = ANOMALY_CLIPS if keyword is None else KEYWORD_CLIPS
    found = examined(find_audio(paths), limits, channel=channel, track=track_reading)
    if keyword is None:
        report = enroll_domain(assembly, store, stream, found, domain=domain, terms=terms, track=track)
    else:
        report = enroll_keyword(assembly, store, stream, found, word=keyword, terms=terms, track=track)
    return report.facts() | {"notes": [*unknown_stream_notes(assembly, stream), *report.notes]}


def enroll_events(
    assembly: Assembly,
    store: BankStore,
    stream: str | None,
    event_ids: Sequence[str],
    *,
    domain: str | None = None,
    terms: Terms = ORDINARY,
    track: Track = iter,
) -> dict[str, Any]:
    """Enrol what was heard at past anomaly events; the report as JSON-serialisable facts.

    Args:
        stream: they must be of; None = that of the first.

    Raises:
        EnrolmentError: no sound is kept, it cannot be used, or is doubtful; nothing has changed.
        StateError: the database refused; nothing has changed.
        UsageError: an event is of another monitor or stream.
    """
    heard = past_sound(assembly.config.state_path, event_ids, stream)
    report = enroll_domain(assembly, store, heard.stream, heard.clips, domain=domain, terms=terms, track=track)
    return report.facts() | {"notes": [*unknown_stream_notes(assembly, heard.stream), *report.notes]}


def unknown_stream_notes(assembly: Assembly, stream: str) -> list[str]:
    """A line where the daemon would not use what is enrolled."""
    if not assembly.config.streams or stream in assembly.config.streams:
        return []
    known = ", ".join(assembly.config.streams)
    return [f"the configuration has no stream '{stream}' (it has: {known}); the daemon will not listen to it"]


def enroll_domain(
    assembly: Assembly,
    store: BankStore,
    stream: str,
    clips: ClipSet | Sequence[Clip],
    *,
    domain: str | None = None,
    terms: Terms = ORDINARY,
    track: Track = iter,
) -> EnrolmentReport:
    """Add clips of normal sound to a domain of a stream's anomaly monitor, if the gate lets them pass.

    Args:
        domain: None = the source for the first enrolment of a stream, ``target`` for later ones.

    Raises:
        EnrolmentError: the clips cannot be used, or are doubtful; nothing has changed. A dry run reports that instead.
        StateError: the database refused; nothing has changed.
    """
    label = _checked_label(domain, "domain") if domain is not None else None
    old = anomaly_bank(assembly, store, stream)
    _check_stream(stream, old)
    enrolment = _Enrolment(assembly, stream, old, label or (TARGET if old else SOURCE), terms)
    found = clips if isinstance(clips, ClipSet) else ClipSet(tuple(clips))
    report, bank = enrolment.judged(found, track)
    if terms.dry_run:
        return report
    if bank is None or not report.accepted:
        raise refusal(report)
    facts, arrays = anomaly.bank_to_store(bank, assembly.bundle(stream, anomaly.MONITOR))
    reason = terms.reason or f"enrolled {report.label}"
    version = store.commit(stream, anomaly.MONITOR, facts, arrays, reason=reason, based_on=old.version if old else 0)
    return replace(report, version=version)


def enroll_keyword(
    assembly: Assembly,
    store: BankStore,
    stream: str,
    clips: ClipSet | Sequence[Clip],
    *,
    word: str,
    terms: Terms = ORDINARY,
    track: Track = iter,
) -> EnrolmentReport:
    """Add clips of a spoken word to a stream's keyword monitor.

    Raises:
        EnrolmentError: the clips cannot be used; nothing has changed.
        StateError: the database refused; nothing has changed.
    """
    word = _checked_label(word, "keyword")
    found = clips if isinstance(clips, ClipSet) else ClipSet(tuple(clips))
    bundle = assembly.bundle(stream, "keyword")
    current = assembly.bank(store, stream, "keyword")
    old = current if isinstance(current, keyword.KeywordBank) else None
    _check_stream(stream, old)
    fresh, copies = _fresh(old, found)
    if not fresh and not found.refused:
        raise _nothing_new(stream, old, found)
    n_old, version = (len(old.clips), old.version) if old else (0, 0)
    report = EnrolmentReport(
        stream, "keyword", word, version, 0, n_old, None, (*_passed_over(copies), *_doubts(fresh)),
        accepted=not found.refused, dry_run=terms.dry_run, refused=found.refused,
        clips=judged_clips(GateFinding(), found.refused, copies),
    )  # fmt: skip
    if found.refused:
        if terms.dry_run:
            return report
        raise refusal(report)
    bank = keyword.extended_bank(bundle, old, embedded_clips(assembly, stream, "keyword", fresh, track), word)
    report = replace(report, added_clips=len(bank.clips) - n_old, total_clips=len(bank.clips))
    if terms.dry_run:
        return report
    facts, arrays = keyword.bank_to_store(bank, bundle)
    return replace(
        report, version=store.commit(stream, "keyword", facts, arrays, reason=f"enrolled {word}", based_on=version)
    )


def anomaly_bank(assembly: Assembly, store: BankStore, stream: str) -> anomaly.AnomalyBank | None:
    """The active references of a stream's anomaly monitor."""
    current = assembly.bank(store, stream, anomaly.MONITOR)
    return current if isinstance(current, anomaly.AnomalyBank) else None


def anomaly_monitor(assembly: Assembly, stream: str, bank: anomaly.AnomalyBank) -> AnomalyMonitor:
    """A monitor of the stream as the configuration has it, with other references."""
    settings = assembly.settings(stream, anomaly.MONITOR)
    chosen = settings if isinstance(settings, AnomalySettings) else AnomalySettings()
    return AnomalyMonitor(stream, assembly.bundle(stream, anomaly.MONITOR), chosen, bank)


@dataclass(frozen=True)
class _Enrolment:
    """Clips of normal sound on their way through the gate."""

    assembly: Assembly
    stream: str
    old: anomaly.AnomalyBank | None
    label: str
    terms: Terms

    def judged(self, found: ClipSet, track: Track) -> tuple[EnrolmentReport, anomaly.AnomalyBank | None]:
        """The report, and the new bank as far as it came to one."""
        fresh, copies = _fresh(self.old, found)
        if not fresh and not found.refused:
            raise _nothing_new(self.stream, self.old, found)
        refused = [*found.refused, *of_wrong_rate(self.old, fresh)]
        if refused:
            return self._report(GateFinding(), refused, copies), None
        embedded = embedded_clips(self.assembly, self.stream, anomaly.MONITOR, fresh, track)
        refused = like_anomalies(self.old, embedded)
        if refused:
            return self._report(GateFinding(), refused, copies), None
        return self._fitted(embedded, copies)

    def _fitted(
        self, embedded: Embedded, copies: Sequence[tuple[str, str]]
    ) -> tuple[EnrolmentReport, anomaly.AnomalyBank]:
        bundle = self.assembly.bundle(self.stream, anomaly.MONITOR)
        bank = anomaly.extended_bank(bundle, self.old, embedded, self.label, self.assembly.scoring(self.stream))
        finding = judge(bundle, self.old, bank, embedded, self.label)
        report = self._report(finding, finding.refused, copies)
        monitor = anomaly_monitor(self.assembly, self.stream, bank)
        threshold = monitor.threshold if monitor.threshold is not None else bank.threshold
        return replace(
            report,
            threshold=bank.threshold,
            total_clips=len(bank.clips),
            added_clips=len({clip.sha256 for clip, _ in embedded} & {record.sha256 for record in bank.clips}),
            false_alarms=expected_alarms(monitor, bank, threshold),
        ), bank

    def _report(
        self, finding: GateFinding, refused: Sequence[RefusedClip], copies: Sequence[tuple[str, str]]
    ) -> EnrolmentReport:
        old = self.old
        return EnrolmentReport(
            self.stream, anomaly.MONITOR, self.label, old.version if old else 0, 0, len(old.clips) if old else 0,
            old.threshold if old else None, (*_passed_over(copies), *finding.remarks),
            accepted=not refused and (self.terms.force or not finding.doubts), dry_run=self.terms.dry_run,
            doubts=finding.doubts, refused=tuple(refused), clips=judged_clips(finding, refused, copies),
            threshold_before=old.threshold if old else None,
            overlap=finding.overlap, strength_factor=finding.strength_factor,
        )  # fmt: skip


def _check_stream(stream: str, old: Bank | None) -> None:
    """Refuse to begin with a name that no configuration can hold.

    Raises:
        EnrolmentError: it is none.
    """
    if old is None and not re.fullmatch(STREAM_NAME, stream):
        fix = "take 1 to 48 letters, digits, - and _, as in the configuration"
        raise EnrolmentError(f"'{printable_name(stream)}' cannot be the name of a stream", fix=fix)


def _fresh(old: Bank | None, found: ClipSet) -> tuple[list[Clip], list[tuple[str, str]]]:
    """Clips that are not enrolled yet, and (name, name of what it is a copy of) of the others."""
    known: dict[str, ClipRecord] = {record.sha256: record for record in old.clips} if old else {}
    fresh = [clip for clip in found.clips if clip.sha256 not in known]
    enrolled = [(clip.name, f"{known[clip.sha256].name} (enrolled)") for clip in found.clips if clip.sha256 in known]
    return fresh, [*found.copies, *enrolled]


def _nothing_new(stream: str, old: Bank | None, found: ClipSet) -> EnrolmentError:
    if not old or not found.clips:
        return EnrolmentError("no clips to enrol")
    given = {clip.sha256 for clip in found.clips}
    labels = ", ".join(dict.fromkeys(f"'{record.label}'" for record in old.clips if record.sha256 in given))
    fix = "to enrol them as something else, undo that first with `edged references rollback`"
    return EnrolmentError(f"every one of these clips is enrolled already, as {labels} of stream '{stream}'", fix=fix)


def _passed_over(copies: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{name}: passed over, the same recording as {first}" for name, first in copies)


def _checked_label(text: str, what: str) -> str:
    """A domain or keyword without space around it; it goes into topics, events and logs.

    Raises:
        EnrolmentError: empty, too long, or with characters that cannot be shown.
    """
    label = text.strip()
    if not label or len(label) > MAX_LABEL_CHARACTERS or not label.isprintable():
        raise EnrolmentError(f"the {what} must have 1 to {MAX_LABEL_CHARACTERS} printable characters")
    return label


def _doubts(clips: Sequence[Clip]) -> tuple[str, ...]:
    return tuple(f"{clip.name}: {doubt}" for clip in clips for doubt in clip.doubts)
