"""What happened against the scene's truth: a row for everything the demo announces, each judged by itself."""

from __future__ import annotations

from dataclasses import dataclass

from edged.demo.record import Enrolled, Record, Said
from edged.demo.timeline import HALL, KEYWORD, MACHINES, Fault, Timeline

SEGMENT_S = 10.0
"""What a segment looks at: this long after a fault its sound may still be in the segment being judged."""
ONSET_WITHIN_S = 30.0
CLEARED_WITHIN_S = 45.0
SETTLED_AFTER_ENROLMENT_S = 45.0
WORD_TOLERANCE_S = 0.5


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: what the scene holds.
        expected: what edged should have done about it.
        happened: what it did.
        good: whether the two agree.
    """

    what: str
    expected: str
    happened: str
    good: bool


def judged(timeline: Timeline, record: Record) -> list[Row]:
    """The table of the whole scene."""
    first, *later = timeline.faults
    return [
        _quiet(timeline, record, "normal operation", 0.0, timeline.shift_s),
        *_fault_rows(first, record),
        *(_false_alarms_row(stream, timeline, record) for stream in MACHINES),
        *(_enrolment_row(stream, record) for stream in MACHINES),
        _quiet(timeline, record, "after enrolment", _settled_s(record, timeline), timeline.duration_s),
        *(row for fault in later for row in _fault_rows(fault, record)),
        _words_row(timeline, record),
        _other_words_row(timeline, record),
        _samples_row(record),
    ]


def _fault_rows(fault: Fault, record: Record) -> list[Row]:
    onset = next((s for s in record.said if s.kind == "onset" and _belongs(s, fault)), None)
    cleared = next((s for s in record.said if s.kind == "cleared" and onset and _ends(s, onset, fault)), None)
    what = f"{fault.stream}: {fault.name} at {clock(fault.start_s)}"
    found = f"onset after {onset.at_s - fault.start_s:.0f} s" if onset else "nothing said"
    over = f"cleared after {cleared.at_s - fault.end_s:.0f} s" if cleared else "not cleared"
    return [
        Row(what, f"onset within {ONSET_WITHIN_S:.0f} s", found, onset is not None),
        Row(
            f"{fault.stream}: repaired at {clock(fault.end_s)}",
            f"cleared within {CLEARED_WITHIN_S:.0f} s",
            over,
            cleared is not None,
        ),
    ]


def _belongs(onset: Said, fault: Fault) -> bool:
    return onset.stream == fault.stream and fault.start_s < onset.at_s <= fault.start_s + ONSET_WITHIN_S


def _ends(cleared: Said, onset: Said, fault: Fault) -> bool:
    in_time = fault.end_s < cleared.at_s <= fault.end_s + CLEARED_WITHIN_S
    return cleared.stream == onset.stream and cleared.at_s > onset.at_s and in_time


def _quiet(timeline: Timeline, record: Record, when: str, start_s: float, end_s: float) -> Row:
    false = [s for s in _false_onsets(timeline, record) if start_s < s.at_s <= end_s]
    names = ", ".join(f"{s.stream} at {clock(s.at_s)}" for s in false)
    happened = f"{len(false)}: {names}" if false else "0"
    return Row(f"{when}, {clock(start_s)} to {clock(end_s)}", "0 false alarms", happened, not false)


def _false_alarms_row(stream: str, timeline: Timeline, record: Record) -> Row:
    false = [
        s
        for s in _false_onsets(timeline, record)
        if s.stream == stream and timeline.shift_s < s.at_s < _settled_s(record, timeline)
    ]
    what = f"{stream}: new sound from {clock(timeline.shift_s)}"
    happened = f"alarm after {false[0].at_s - timeline.shift_s:.0f} s" if false else "no alarm"
    return Row(what, "alarm: never heard it", happened, bool(false))


def _enrolment_row(stream: str, record: Record) -> Row:
    done = _enrolment(stream, record)
    what = f"{stream}: that sound enrolled live"
    expected = f"calm within {SETTLED_AFTER_ENROLMENT_S:.0f} s"
    if done is None:
        return Row(what, expected, "not enrolled", good=False)
    cleared = next(
        (s for s in record.said if s.kind == "cleared" and s.stream == stream and s.at_s > done.asked_s), None
    )
    if cleared is None or cleared.bank < done.bank:
        return Row(what, expected, f"bank {done.bank}, alarm not cleared", good=False)
    after_s = max(cleared.at_s - done.done_s, 0.0)
    happened = f"took {done.wall_s:.1f} s, calm {after_s:.0f} s later"
    return Row(what, expected, happened, after_s <= SETTLED_AFTER_ENROLMENT_S)


def _words_row(timeline: Timeline, record: Record) -> Row:
    spoken = [word for word in timeline.words if word.word == KEYWORD]
    errors_s = []
    for word in spoken:
        hits = [s for s in record.said if _matches(s, word.start_s, word.end_s)]
        if hits:
            offset_s = hits[0].offset_s if hits[0].offset_s is not None else hits[0].onset_s
            errors_s.append(max(abs(hits[0].onset_s - word.start_s), abs(offset_s - word.end_s)))
    happened = f"{len(errors_s)} of {len(spoken)}" + (f", times right to {max(errors_s):.2f} s" if errors_s else "")
    expected = f"all {len(spoken)}, right to {WORD_TOLERANCE_S} s"
    return Row(f'{HALL}: "{KEYWORD}", from 3 clips', expected, happened, len(errors_s) == len(spoken))


def _other_words_row(timeline: Timeline, record: Record) -> Row:
    spoken = [word for word in timeline.words if word.word == KEYWORD]
    heard = [s for s in record.said if s.kind == "keyword"]
    false = [s for s in heard if not any(_matches(s, word.start_s, word.end_s) for word in spoken)]
    others = len(timeline.words) - len(spoken)
    names = ", ".join(clock(s.onset_s) for s in false)
    happened = f"{len(false)}: {names}" if false else "0"
    return Row(f"{HALL}: {others} other words, machines", "0 false words", happened, not false)


def _samples_row(record: Record) -> Row:
    books = [counts for monitors in record.samples.values() for counts in monitors.values()]
    received, lost = (sum(counts[name] for counts in books) for name in ("received", "lost"))
    balanced = all(c["received"] == c["scored"] + c["dropped"] + c["pending"] for c in books)
    happened = f"{received:,} received, {lost:,} lost" + ("" if balanced else ", books do not balance")
    return Row("samples of all monitors", "every one accounted for", happened, bool(books) and balanced and not lost)


def _matches(said: Said, start_s: float, end_s: float) -> bool:
    if said.kind != "keyword" or said.keyword != KEYWORD or said.offset_s is None:
        return False
    return abs(said.onset_s - start_s) <= WORD_TOLERANCE_S and abs(said.offset_s - end_s) <= WORD_TOLERANCE_S


def _false_onsets(timeline: Timeline, record: Record) -> list[Said]:
    """Onsets while the machine was in order; a fault stays in the segments for a while after its repair."""
    return [
        said
        for said in record.said
        if said.kind == "onset"
        and not any(f.stream == said.stream and f.start_s < said.at_s <= f.end_s + SEGMENT_S for f in timeline.faults)
    ]


def _enrolment(stream: str, record: Record) -> Enrolled | None:
    return next((done for done in record.enrolled if done.stream == stream), None)


def _settled_s(record: Record, timeline: Timeline) -> float:
    """From when on the new domain counts as known: the last enrolment, or never."""
    done = [enrolled.done_s for enrolled in record.enrolled]
    return max(done) if len(done) == len(MACHINES) else timeline.duration_s


def clock(time_s: float) -> str:
    """Scene time as people read it.

    >>> clock(83.4)
    '1:23'
    """
    return f"{int(time_s) // 60}:{int(time_s) % 60:02d}"
