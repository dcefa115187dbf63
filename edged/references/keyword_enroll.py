"""Enrolment of a spoken word: clips in, a new version of the words out, in one transaction.

clips -> examined -> embedded -> the word found in each -> gate -> a new bank -> committed
             |                          |                   |
          refused                    refused      doubtful: needs `force`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edged.assembly import Assembly
from edged.errors import EnrolmentError
from edged.frontend import background_rows
from edged.references import keyword
from edged.references.clips import KEYWORD_CLIPS, Clip, ClipSet, RefusedClip, examined, find_audio
from edged.references.counters import CounterWord
from edged.references.embedding import Track, embedded_clips
from edged.references.gate import GateFinding
from edged.references.keyword_gate import judge
from edged.references.keyword_gate_counters import counter_finding
from edged.references.keyword_gate_words import OtherWord
from edged.references.report import EnrolmentReport, judged_clips, refusal
from edged.references.search import printable_name
from edged.references.store import BankStore
from edged.references.templates import SpokenClip, spoken_clip
from edged.references.terms import (
    ORDINARY,
    Terms,
    check_stream,
    checked_label,
    fresh_ones,
    nothing_new,
    passed_over,
)

MAX_COUNTERS = 4
"""At a time: each is sent to the daemon by itself."""


@dataclass(frozen=True)
class KeywordWish:
    """What is to be enrolled.

    Attributes:
        word: the keyword.
        counters: what it must not be taken for: name -> clips.
        average: whether it is to be held as the average of its clips.
    """

    word: str
    counters: Mapping[str, ClipSet] = field(default_factory=dict)
    average: bool = False

    def told(self, added_clips: int) -> str:
        """For the history: what was done."""
        against = ", ".join(f"'{name}'" for name in self.counters)
        parts = [f"enrolled {self.word}"] if added_clips else [f"changed {self.word}"]
        parts += [f"not {against}"] if against else []
        return ", ".join([*parts, *(["averaged"] if self.average else [])])


def counter_names(paths: Sequence[Path]) -> dict[str, Path]:
    """Clips, or directories of them, that hold a word each; it is called by the path's own name.

    Raises:
        EnrolmentError: two are called alike, or there are too many.
    """
    found: dict[str, Path] = {}
    for path in paths:
        name = printable_name(path.resolve().name if path.is_dir() else path.stem)
        if name in found:
            raise EnrolmentError(f"two counter-examples are called '{name}'", fix="give them names of their own")
        found[name] = path
    if len(found) > MAX_COUNTERS:
        fix = "give the others afterwards, in a command of their own"
        raise EnrolmentError(f"more than {MAX_COUNTERS} counter-examples at a time", fix=fix)
    return found


def examined_counters(paths: Mapping[str, Sequence[Path]], channel: int = 0) -> dict[str, ClipSet]:
    """The clips of every counter-example.

    Raises:
        EnrolmentError: there is no audio.
    """
    return {
        checked_label(name, "counter-example"): examined(find_audio(own), KEYWORD_CLIPS, channel=channel)
        for name, own in paths.items()
    }


def enroll_keyword(
    assembly: Assembly,
    store: BankStore,
    stream: str,
    clips: ClipSet | Sequence[Clip],
    *,
    word: str | KeywordWish,
    terms: Terms = ORDINARY,
    track: Track = iter,
) -> EnrolmentReport:
    """Add clips of a spoken word to a stream's keyword monitor, if the gate lets them pass.

    Raises:
        EnrolmentError: the clips cannot be used, or are doubtful; nothing has changed. A dry run reports that instead.
        StateError: the database refused; nothing has changed.
    """
    wish = KeywordWish(word) if isinstance(word, str) else word
    wish = replace(wish, word=checked_label(wish.word, "keyword"))
    current = assembly.bank(store, stream, keyword.MONITOR)
    old = current if isinstance(current, keyword.KeywordBank) else None
    check_stream(stream, is_known=old is not None)
    found = clips if isinstance(clips, ClipSet) else ClipSet(tuple(clips))
    report, bank = _Enrolment(assembly, stream, old, wish, terms).judged(found, track)
    if terms.dry_run:
        return report
    if bank is None or not report.accepted:
        raise refusal(report)
    facts, arrays = keyword.bank_to_store(bank, assembly.bundle(stream, keyword.MONITOR))
    reason = terms.reason or wish.told(report.added_clips)
    based_on = old.version if old else 0
    return replace(report, version=store.commit(stream, "keyword", facts, arrays, reason=reason, based_on=based_on))


@dataclass(frozen=True)
class _Enrolment:
    """Clips of a word on their way through the gate."""

    assembly: Assembly
    stream: str
    old: keyword.KeywordBank | None
    wish: KeywordWish
    terms: Terms

    def judged(self, found: ClipSet, track: Track) -> tuple[EnrolmentReport, keyword.KeywordBank | None]:
        """The report, and the new bank unless a clip cannot be used."""
        fresh, copies = self._fresh(found)
        against = list(self.wish.counters.values())
        refused = [*found.refused, *(clip for one in against for clip in one.refused)]
        if refused:
            return self._report(GateFinding(), refused, copies), None
        spoken, unfit = self._spoken(fresh, track)
        counters, unfit_counters = self._counters(track)
        refused = [*unfit, *unfit_counters]
        if refused:
            return self._report(GateFinding(), refused, copies), None
        return self._fitted(spoken, counters, copies)

    def _fresh(self, found: ClipSet) -> tuple[list[Clip], list[tuple[str, str]]]:
        enrolled = self.old.clips if self.old else ()
        fresh, copies = fresh_ones(enrolled, found)
        has_word = bool(fresh) or bool(self.old and self.wish.word in self.old.words)
        if not (has_word or found.clips or found.refused):
            missing = f"'{self.wish.word}' is not enrolled on stream '{self.stream}'"
            raise EnrolmentError(missing, fix="give clips of it")
        if not fresh and not found.refused and not (has_word and (self.wish.counters or self.wish.average)):
            raise nothing_new(self.stream, enrolled, found)
        return fresh, copies

    def _spoken(self, clips: Sequence[Clip], track: Track) -> tuple[list[SpokenClip], list[RefusedClip]]:
        """Clips with the word found in them, and those in which none is."""
        if not clips:
            return [], []
        bundle = self.assembly.bundle(self.stream, keyword.MONITOR)
        embedded = embedded_clips(self.assembly, self.stream, keyword.MONITOR, clips, track)
        looked_at = [spoken_clip(bundle, clip, embeddings) for clip, embeddings in embedded]
        spoken = [one for one in looked_at if isinstance(one, SpokenClip)]
        return spoken, [one for one in looked_at if isinstance(one, RefusedClip)]

    def _counters(self, track: Track) -> tuple[list[CounterWord], list[RefusedClip]]:
        counters, refused = [], []
        for name, found in self.wish.counters.items():
            spoken, unfit = self._spoken(found.clips, track)
            counters.append(keyword.counter_word(self.wish.word, name, spoken))
            refused += unfit
        return counters, refused

    def _fitted(
        self, spoken: Sequence[SpokenClip], counters: Sequence[CounterWord], copies: Sequence[tuple[str, str]]
    ) -> tuple[EnrolmentReport, keyword.KeywordBank]:
        bundle, old, word = self.assembly.bundle(self.stream, keyword.MONITOR), self.old, self.wish.word
        background = background_rows(bundle)
        own = old.templates_of(word) if old else []
        others = [OtherWord(name, old.templates_of(name)) for name in old.words if name != word] if old else []
        finding = judge(spoken, own, others, word, background) if spoken else GateFinding()
        against = counter_finding([*(clip.template for clip in spoken), *own], counters, word, background)
        finding = replace(
            finding, doubts=(*finding.doubts, *against.doubts), remarks=(*finding.remarks, *against.remarks)
        )
        bank = keyword.extended_bank(bundle, old, spoken, word, counters=counters, average=self.wish.average)
        report = self._report(finding, (), copies)
        return replace(report, added_clips=len(spoken), total_clips=len(bank.clips)), bank

    def _report(
        self, finding: GateFinding, refused: Sequence[RefusedClip], copies: Sequence[tuple[str, str]]
    ) -> EnrolmentReport:
        version, n_old = (self.old.version, len(self.old.clips)) if self.old else (0, 0)
        return EnrolmentReport(
            self.stream, "keyword", self.wish.word, version, 0, n_old, None,
            (*passed_over(copies), *finding.remarks),
            accepted=not refused and (self.terms.force or not finding.doubts), dry_run=self.terms.dry_run,
            doubts=finding.doubts, refused=tuple(refused), clips=judged_clips(finding, refused, copies),
        )  # fmt: skip
