"""What the figures of sound event detection have in common (thesis 2.10.3): events, errors, averages.

Own code, as no maintained package has all three kinds of figure: sed_eval does not import beside a current setuptools,
sed_scores_eval needs sed_eval, psds_eval has the intersections only. The segment- and event-based figures are
sed_eval's, except that a class with false alarms and no reference counts in the macro-average, with an F1 of 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from trainer.evaluate.counts import Counts


@dataclass(frozen=True)
class Event:
    """A sound with a name, a beginning and an end."""

    label: str
    onset_s: float
    offset_s: float

    def __post_init__(self) -> None:
        if not self.onset_s < self.offset_s:
            raise ValueError(f"'{self.label}' ends at {self.offset_s} s, not after its onset at {self.onset_s} s")

    @property
    def duration_s(self) -> float:
        """From onset to offset."""
        return self.offset_s - self.onset_s


Recordings = Mapping[str, Sequence[Event]]
"""File -> its events."""

IsMatch = Callable[[Event, Event], bool]
"""Whether (estimated, reference) agree in time; labels are compared elsewhere."""


@dataclass(frozen=True)
class Judged:
    """One class in one file: how many references were found, which findings are wrong and which references missed."""

    n_found: int
    wrong: Sequence[Event]
    missed: Sequence[Event]


Judge = Callable[[Sequence[Event], Sequence[Event]], Judged]
"""Judges the events (estimated, reference) of one class in one file."""


@dataclass(frozen=True)
class EventFigures:
    """Decisions by class and, over all classes, the wrong names among the errors.

    Attributes:
        classes: label -> decisions.
        n_substitutions: misses and false alarms that are one and the same sound under two names.
    """

    classes: Mapping[str, Counts]
    n_substitutions: int

    @property
    def micro(self) -> Counts:
        """Every event or segment weighs the same; its `f1` is the micro-average."""
        return sum(self.classes.values(), Counts())

    @property
    def macro_f1(self) -> float:
        """Every class weighs the same."""
        return float(np.mean([counts.f1 for counts in self.classes.values()])) if self.classes else 0.0

    @property
    def error_rate(self) -> float:
        """Substitutions, deletions and insertions per reference; a substitution is one error and not two.

        Infinite where there are errors but no references.
        """
        total = self.micro
        n_errors = total.n_false_negative + total.n_false_positive - self.n_substitutions
        n_reference = total.n_true_positive + total.n_false_negative
        return n_errors / n_reference if n_reference else (float("inf") if n_errors else 0.0)


def paired_files(
    estimated: Recordings, reference: Recordings
) -> Iterable[tuple[str, Sequence[Event], Sequence[Event]]]:
    """Each file of the reference with its estimated and reference events.

    Raises:
        ValueError: events in a file that the reference does not list (an empty list says that it holds none).
    """
    unknown = sorted(set(estimated) - set(reference))
    if unknown:
        raise ValueError(f"no reference for {', '.join(unknown[:5])}: list a file without events with an empty list")
    return [(name, estimated.get(name, ()), events) for name, events in reference.items()]


def event_figures(estimated: Recordings, reference: Recordings, judge: Judge, is_match: IsMatch) -> EventFigures:
    """Judge class by class; what is left is a substitution where it agrees in time with something missed.

    Args:
        estimated: file -> found events.
        reference: file -> true events, each file that counts.
        judge: of one class.
        is_match: whether a wrong finding and a missed reference of another class are one sound.
    """
    classes: dict[str, Counts] = {}
    n_substitutions = 0
    for _, found, true in paired_files(estimated, reference):
        labels = {event.label for event in (*found, *true)}
        judged = {label: judge(_of_class(found, label), _of_class(true, label)) for label in labels}
        for label, one in judged.items():
            counts = Counts(one.n_found, len(one.wrong), len(one.missed))
            classes[label] = classes.get(label, Counts()) + counts
        wrong = [event for one in judged.values() for event in one.wrong]
        missed = [event for one in judged.values() for event in one.missed]
        n_substitutions += len(match(wrong, missed, lambda a, b: a.label != b.label and is_match(a, b)))
    return EventFigures(dict(sorted(classes.items())), n_substitutions)


def _of_class(events: Sequence[Event], label: str) -> list[Event]:
    return [event for event in events if event.label == label]


def match(estimated: Sequence[Event], reference: Sequence[Event], is_match: IsMatch) -> list[tuple[int, int]]:
    """The largest set of pairs (estimated, reference) in which no event occurs twice."""
    if not estimated or not reference:
        return []
    agrees = csr_matrix([[is_match(e, r) for r in reference] for e in estimated])
    partner = maximum_bipartite_matching(agrees, perm_type="column")  # (n_estimated,), -1 without
    return [(int(e), int(r)) for e, r in enumerate(partner) if r >= 0]
