"""Intersection-based figures (Bilen et al. 2020; thesis 2.10.3): how much of each event is covered, by however many.

A finding is right if enough of it lies in references of its class (detection tolerance); a reference is found if enough
of it is covered by right findings (ground truth intersection).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trainer.evaluate.sound_events import Event, EventFigures, Judged, Recordings, event_figures

TOLERANCE = 0.5


def intersection_based(
    estimated: Recordings,
    reference: Recordings,
    detection_tolerance: float = TOLERANCE,
    truth_intersection: float = TOLERANCE,
) -> EventFigures:
    """Decisions per event: hits and misses count references, false alarms count findings.

    For the error rate a wrong finding and a missed reference of another class are one substitution if they alone
    would fulfil both conditions.

    Args:
        estimated: file -> found events.
        reference: file -> true events, each file that counts.
        detection_tolerance: share of a finding that must lie in references.
        truth_intersection: share of a reference that must be covered.
    """

    def judge(found: Sequence[Event], true: Sequence[Event]) -> Judged:
        right = [e for e in found if covered_s(e, true) >= detection_tolerance * e.duration_s]
        missed = [e for e in true if covered_s(e, right) < truth_intersection * e.duration_s]
        return Judged(len(true) - len(missed), [e for e in found if e not in right], missed)

    def agree(found: Event, true: Event) -> bool:
        common_s = covered_s(found, [true])
        return common_s >= detection_tolerance * found.duration_s and common_s >= truth_intersection * true.duration_s

    return event_figures(estimated, reference, judge, agree)


def covered_s(event: Event, others: Iterable[Event]) -> float:
    """Seconds of an event within others, each counted by itself.

    >>> covered_s(Event("a", 1.0, 3.0), [Event("a", 0.0, 1.5), Event("a", 2.0, 5.0)])
    1.5
    """
    return sum(max(0.0, min(event.offset_s, o.offset_s) - max(event.onset_s, o.onset_s)) for o in others)
