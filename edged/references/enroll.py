"""Enrolment: clips in, a new version of a bank out, in one transaction; the old one stays until then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edged.assembly import Assembly, MonitorName
from edged.errors import EnrolmentError
from edged.flow import Embedding
from edged.pipeline import embed_signal
from edged.references import anomaly, keyword
from edged.references.clips import ANOMALY_CLIPS, KEYWORD_CLIPS, Clip, find_audio, read_clips
from edged.references.store import BankStore
from edged.score.references import SOURCE

TARGET = "target"
MAX_LABEL_CHARACTERS = 64
Track = Callable[[Iterable[Clip]], Iterable[Clip]]


@dataclass(frozen=True)
class EnrolmentReport:
    """What an enrolment did."""

    stream: str
    monitor: MonitorName
    label: str
    version: int
    added_clips: int
    total_clips: int
    threshold: float | None
    notes: tuple[str, ...]


def enroll_paths(
    assembly: Assembly,
    store: BankStore,
    stream: str,
    paths: Sequence[Path],
    *,
    domain: str | None = None,
    keyword: str | None = None,
    channel: int = 0,
    track: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> dict[str, Any]:
    """Enrol files and directories of clips; the report as JSON-serialisable facts.

    Args:
        keyword: the word that is spoken in them; None = normal sound of a machine.

    Raises:
        EnrolmentError: a clip cannot be used; nothing has changed.
        StateError: the database refused; nothing has changed.
    """
    limits = ANOMALY_CLIPS if keyword is None else KEYWORD_CLIPS
    clips, notes = read_clips(find_audio(paths), limits, channel=channel)
    if keyword is None:
        report = enroll_domain(assembly, store, stream, clips, domain=domain, track=track)
    else:
        report = enroll_keyword(assembly, store, stream, clips, word=keyword, track=track)
    if assembly.config.streams and stream not in assembly.config.streams:
        known = ", ".join(assembly.config.streams)
        notes.append(f"the configuration has no stream '{stream}' (it has: {known}); the daemon will not listen to it")
    return asdict(report) | {"notes": [*notes, *report.notes]}


def enroll_domain(
    assembly: Assembly,
    store: BankStore,
    stream: str,
    clips: Sequence[Clip],
    *,
    domain: str | None = None,
    track: Track = iter,
) -> EnrolmentReport:
    """Add clips of normal sound to a domain of a stream's anomaly monitor.

    Args:
        domain: None = the source for the first enrolment of a stream, ``target`` for later ones.

    Raises:
        EnrolmentError: the clips cannot be used; nothing has changed.
        StateError: the database refused; nothing has changed.
    """
    if domain:
        domain = _checked_label(domain, "domain")
    bundle = assembly.bundle(stream, "anomaly")
    current = assembly.bank(store, stream, "anomaly")
    old = current if isinstance(current, anomaly.AnomalyBank) else None
    label = domain or (TARGET if old else SOURCE)
    embedded = _embedded(assembly, stream, "anomaly", clips, track)
    bank = anomaly.extended_bank(bundle, old, embedded, label, assembly.scoring(stream))
    facts, arrays = anomaly.bank_to_store(bank, bundle)
    version = store.commit(
        stream, "anomaly", facts, arrays, reason=f"enrolled {label}", based_on=old.version if old else 0
    )
    added = len(bank.clips) - (len(old.clips) if old else 0)
    return EnrolmentReport(stream, "anomaly", label, version, added, len(bank.clips), bank.threshold, _doubts(clips))


def enroll_keyword(
    assembly: Assembly, store: BankStore, stream: str, clips: Sequence[Clip], *, word: str, track: Track = iter
) -> EnrolmentReport:
    """Add clips of a spoken word to a stream's keyword monitor.

    Raises:
        EnrolmentError: the clips cannot be used; nothing has changed.
        StateError: the database refused; nothing has changed.
    """
    word = _checked_label(word, "keyword")
    bundle = assembly.bundle(stream, "keyword")
    current = assembly.bank(store, stream, "keyword")
    old = current if isinstance(current, keyword.KeywordBank) else None
    bank = keyword.extended_bank(bundle, old, _embedded(assembly, stream, "keyword", clips, track), word)
    facts, arrays = keyword.bank_to_store(bank, bundle)
    version = store.commit(
        stream, "keyword", facts, arrays, reason=f"enrolled {word}", based_on=old.version if old else 0
    )
    added = len(bank.clips) - (len(old.clips) if old else 0)
    return EnrolmentReport(stream, "keyword", word, version, added, len(bank.clips), None, _doubts(clips))


def _checked_label(text: str, what: str) -> str:
    """A domain or keyword without space around it; it goes into topics, events and logs.

    Raises:
        EnrolmentError: empty, too long, or with characters that cannot be shown.
    """
    label = text.strip()
    if not label or len(label) > MAX_LABEL_CHARACTERS or not label.isprintable():
        raise EnrolmentError(f"the {what} must have 1 to {MAX_LABEL_CHARACTERS} printable characters")
    return label


def _embedded(
    assembly: Assembly, stream: str, monitor: MonitorName, clips: Sequence[Clip], track: Track
) -> list[tuple[Clip, list[Embedding]]]:
    if not clips:
        raise EnrolmentError("no clips to enrol")
    bundle = assembly.bundle(stream, monitor)
    embedder = assembly.embedder(bundle)
    return [(clip, embed_signal(clip.samples, bundle, embedder)) for clip in track(clips)]


def _doubts(clips: Sequence[Clip]) -> tuple[str, ...]:
    return tuple(f"{clip.name}: {doubt}" for clip in clips for doubt in clip.doubts)
