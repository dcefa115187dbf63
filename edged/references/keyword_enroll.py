"""Enrolment of a spoken word: clips in, a new version of the words out, in one transaction.

clips -> examined -> embedded -> the word found in each -> gate -> a new bank -> committed
             |                          |                   |
          refused                    refused            doubtful

Refused and doubtful clips are left out where the others are enough (`keyword_sift`). Where they are not, a refused clip
stops the enrolment, and a doubtful one waits for `force`, as does a doubt about the word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edged.assembly import Assembly
from edged.errors import EnrolmentError
from edged.flow import Float32Array
from edged.frontend import background_rows
from edged.references import keyword
from edged.references.clips import KEYWORD_CLIPS, Clip, ClipSet, RefusedClip, examined, find_audio
from edged.references.counters import CounterWord
from edged.references.embedding import Track, embedded_clips
from edged.references.gate import GateFinding
from edged.references.keyword_gate import judge
from edged.references.keyword_gate_counters import counter_finding
from edged.references.keyword_gate_words import OtherWord
from edged.references.keyword_sift import GivenClips, Sifted, sifted
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

    Single clips that cannot be used or are doubtful are left out; the report names them.

    Raises:
        EnrolmentError: too many clips cannot be used or are doubtful, or the word is; nothing has changed. A dry run
            reports that instead.
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
        """The report, and the new bank unless too many clips cannot be used."""
        fresh, copies = self._fresh(found)
        own = GivenClips(tuple(fresh), found.refused, self._n_enrolled(found))
        against = [GivenClips(one.clips, one.refused) for one in self.wish.counters.values()]
        if not all(one.is_usable for one in (own, *against)):
            return self._report(GateFinding(), _refused(own, *against), copies, is_stopped=True), None
        spoken, spoken_against = self._spoken(own, track), [self._spoken(one, track) for one in against]
        refused = _refused(spoken, *spoken_against)
        if not all(one.is_usable for one in (spoken, *spoken_against)):
            return self._report(GateFinding(), refused, copies, is_stopped=True), None
        names = zip(self.wish.counters, spoken_against, strict=True)
        counters = [keyword.counter_word(self.wish.word, name, one.clips) for name, one in names]
        return self._fitted(spoken, counters, refused, copies)

    def _n_enrolled(self, found: ClipSet) -> int:
        """How many of the clips the word has already."""
        given = {clip.sha256 for clip in found.clips}
        enrolled = self.old.clips if self.old else ()
        return sum(record.sha256 in given and record.label == self.wish.word for record in enrolled)

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

    def _spoken(self, given: GivenClips[Clip], track: Track) -> GivenClips[SpokenClip]:
        """Clips with the word found in them; refused are those, too, in which none is."""
        if not given.clips:
            return GivenClips((), given.refused, given.n_enrolled)
        bundle = self.assembly.bundle(self.stream, keyword.MONITOR)
        embedded = embedded_clips(self.assembly, self.stream, keyword.MONITOR, given.clips, track)
        looked_at = [spoken_clip(bundle, clip, embeddings) for clip, embeddings in embedded]
        spoken = tuple(one for one in looked_at if isinstance(one, SpokenClip))
        unfit = [one for one in looked_at if isinstance(one, RefusedClip)]
        return GivenClips(spoken, (*given.refused, *unfit), given.n_enrolled)

    def _sifted(self, given: GivenClips[SpokenClip], background: Float32Array) -> Sifted:
        old, word = self.old, self.wish.word
        own = old.templates_of(word) if old else []
        others = [OtherWord(name, old.templates_of(name)) for name in old.words if name != word] if old else []

        def judged(clips: Sequence[SpokenClip]) -> GateFinding:
            return judge(clips, own, others, word, background, n_enrolled=given.n_enrolled)

        if not given.clips:
            return Sifted((), GateFinding())
        return Sifted(given.clips, judged(given.clips)) if self.terms.force else sifted(given, judged)

    def _fitted(
        self,
        given: GivenClips[SpokenClip],
        counters: Sequence[CounterWord],
        refused: Sequence[RefusedClip],
        copies: Sequence[tuple[str, str]],
    ) -> tuple[EnrolmentReport, keyword.KeywordBank]:
        bundle, old, word = self.assembly.bundle(self.stream, keyword.MONITOR), self.old, self.wish.word
        background = background_rows(bundle)
        passed = self._sifted(given, background)
        templates = [*(clip.template for clip in passed.clips), *(old.templates_of(word) if old else [])]
        against, finding = counter_finding(templates, counters, word, background), passed.finding
        finding = replace(
            finding,
            clips=(*finding.clips, *passed.left_out),
            doubts=(*finding.doubts, *against.doubts),
            remarks=(*finding.remarks, *against.remarks),
        )
        bank = keyword.extended_bank(bundle, old, passed.clips, word, counters=counters, average=self.wish.average)
        report = self._report(finding, refused, copies)
        return replace(report, added_clips=len(passed.clips), total_clips=len(bank.clips)), bank

    def _report(
        self,
        finding: GateFinding,
        refused: Sequence[RefusedClip],
        copies: Sequence[tuple[str, str]],
        *,
        is_stopped: bool = False,
    ) -> EnrolmentReport:
        """What came of it; `is_stopped` by the refused clips, which are left out otherwise."""
        version, n_old = (self.old.version, len(self.old.clips)) if self.old else (0, 0)
        judged = (*finding.clips, *judged_clips(GateFinding(), refused, copies))
        left_out = () if is_stopped else tuple(one for one in judged if one.verdict in {"left out", "refused"})
        return EnrolmentReport(
            self.stream, "keyword", self.wish.word, version, 0, n_old, None,
            (*passed_over(copies), *finding.remarks),
            accepted=not is_stopped and (self.terms.force or not finding.doubts), dry_run=self.terms.dry_run,
            doubts=finding.doubts, refused=tuple(refused), clips=judged, left_out=left_out,
        )  # fmt: skip


def _refused(*given: GivenClips[Any]) -> list[RefusedClip]:
    return [clip for one in given for clip in one.refused]
