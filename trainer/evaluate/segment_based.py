"""Segment-based figures (Mesaros et al. 2016; thesis 2.10.3): in which fixed segments is each class active?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from trainer.evaluate.counts import Counts
from trainer.evaluate.sound_events import Event, EventFigures, Recordings, paired_files

SEGMENT_S = 1.0

Cell = tuple[str, int, str]
"""(file, segment, label)"""


def segment_based(estimated: Recordings, reference: Recordings, segment_s: float = SEGMENT_S) -> EventFigures:
    """Decisions per segment and class; an event makes every segment it touches active.

    Args:
        estimated: file -> found events.
        reference: file -> true events, each file that counts.
        segment_s: length of a segment.
    """
    files = list(paired_files(estimated, reference))
    found = {cell for name, events, _ in files for cell in _active(name, events, segment_s)}
    true = {cell for name, _, events in files for cell in _active(name, events, segment_s)}
    hits, alarms, misses = (_per_class(cells) for cells in (found & true, found - true, true - found))
    labels = sorted(_per_class(found | true))
    classes = {label: Counts(hits[label], alarms[label], misses[label]) for label in labels}
    return EventFigures(classes, _substitutions(found - true, true - found))


def _per_class(cells: set[Cell]) -> Counter[str]:
    return Counter(label for _, _, label in cells)


def _active(name: str, events: Sequence[Event], segment_s: float) -> set[Cell]:
    return {
        (name, segment, event.label)
        for event in events
        for segment in _touched(event.onset_s / segment_s, event.offset_s / segment_s)
    }


def _touched(onset: float, offset: float) -> range:
    """Segments of an event, times in segments; by a rounding error none is touched that another begins or ends at."""
    first = math.floor(round(onset, 9))
    return range(first, max(first + 1, math.ceil(round(offset, 9))))


def _substitutions(alarms: set[Cell], misses: set[Cell]) -> int:
    """In each segment as many as there are both false alarms and misses."""
    n_alarms, n_misses = (Counter((name, segment) for name, segment, _ in cells) for cells in (alarms, misses))
    return (n_alarms & n_misses).total()
