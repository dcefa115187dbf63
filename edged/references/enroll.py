"""Enrolment: clips in, a new version of a bank out, in one transaction; the old one stays until then.

clips -> examined one by one -> embedded -> a new bank in memory -> gate -> committed
               |                    |                             |
            refused              like an anomaly: refused      doubtful: needs `force`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edged.assembly import Assembly
from edged.config import AnomalySettings
from edged.pipeline import AnomalyMonitor
from edged.references import anomaly
from edged.references.clips import ANOMALY_CLIPS, KEYWORD_CLIPS, Clip, ClipSet, RefusedClip, examined, find_audio
from edged.references.embedding import Track, embedded_clips
from edged.references.expectation import expected_alarms
from edged.references.gate import Embedded, GateFinding, judge, like_anomalies, of_wrong_rate
from edged.references.keyword_enroll import KeywordWish, enroll_keyword, examined_counters
from edged.references.past import past_sound
from edged.references.report import EnrolmentReport, judged_clips, refusal
from edged.references.store import BankStore
from edged.references.terms import ORDINARY, Terms, check_stream, checked_label, fresh_ones, nothing_new, passed_over
from edged.score.references import SOURCE

__all__ = [
    "TARGET", "Terms", "anomaly_bank", "anomaly_monitor", "enroll_domain", "enroll_events", "enroll_keyword",
    "enroll_paths", "unknown_stream_notes",
]  # fmt: skip

TARGET = "target"


def enroll_paths(
    assembly: Assembly,
    store: BankStore,
    stream: str,
    paths: Sequence[Path],
    *,
    domain: str | None = None,
    keyword: str | None = None,
    counters: Mapping[str, Sequence[Path]] | None = None,
    average: bool = False,
    channel: int = 0,
    terms: Terms = ORDINARY,
    track_reading: Track = iter,
    track: Track = iter,
) -> dict[str, Any]:
    """Enrol files and directories of clips; the report as JSON-serialisable facts.

    Args:
        keyword: the word that is spoken in them; None = normal sound of a machine.
        counters: name -> clips of a word that the keyword must not be taken for.
        average: hold the keyword as the average of its clips.
        track_reading: shows progress while every clip is read and examined; `track`: while they are embedded.

    Raises:
        EnrolmentError: a clip cannot be used, or the set is doubtful; nothing has changed.
        StateError: the database refused; nothing has changed.
    """
    limits = ANOMALY_CLIPS if keyword is None else KEYWORD_CLIPS
    files = find_audio(paths) if paths else []
    found = examined(files, limits, channel=channel, track=track_reading)
    if keyword is None:
        report = enroll_domain(assembly, store, stream, found, domain=domain, terms=terms, track=track)
    else:
        wish = KeywordWish(keyword, examined_counters(counters or {}, channel), average)
        report = enroll_keyword(assembly, store, stream, found, word=wish, terms=terms, track=track)
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
    label = checked_label(domain, "domain") if domain is not None else None
    old = anomaly_bank(assembly, store, stream)
    check_stream(stream, is_known=old is not None)
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
        fresh, copies = fresh_ones(self.old.clips if self.old else (), found)
        if not fresh and not found.refused:
            raise nothing_new(self.stream, self.old.clips if self.old else (), found)
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
            old.threshold if old else None, (*passed_over(copies), *finding.remarks),
            accepted=not refused and (self.terms.force or not finding.doubts), dry_run=self.terms.dry_run,
            doubts=finding.doubts, refused=tuple(refused), clips=judged_clips(finding, refused, copies),
            threshold_before=old.threshold if old else None,
            overlap=finding.overlap, strength_factor=finding.strength_factor,
        )  # fmt: skip
