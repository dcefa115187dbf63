"""Event-based F1 of spotted words (thesis section 2.10): onset within a collar, every event matched once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

ONSET_COLLAR_S = 0.25


@dataclass(frozen=True)
class Spoken:
    """A word that was spoken: where it begins (and ends)."""

    word: str
    onset_s: float
    offset_s: float


@dataclass(frozen=True)
class Spotted:
    """A word that was found."""

    word: str
    onset_s: float
    offset_s: float
    distance: float


@dataclass(frozen=True)
class Operating:
    """Figures at one threshold."""

    f1: float
    precision: float
    recall: float
    limit: float


def matched(spotted: Sequence[Spotted], spoken: Sequence[Spoken], collar_s: float = ONSET_COLLAR_S) -> list[bool]:
    """Whether each of one file's findings is right, nearest first: a spoken word counts once.

    >>> matched([Spotted("a", 1.1, 2, 0.3), Spotted("a", 1.0, 2, 0.2)], [Spoken("a", 1.0, 2.0)])
    [False, True]
    """
    left = list(spoken)
    hits = [False] * len(spotted)
    for index in sorted(range(len(spotted)), key=lambda i: spotted[i].distance):
        found = spotted[index]
        near = [s for s in left if s.word == found.word and abs(s.onset_s - found.onset_s) <= collar_s]
        if near:
            left.remove(min(near, key=lambda s: abs(s.onset_s - found.onset_s)))
            hits[index] = True
    return hits


def operating_points(
    spotted: Mapping[str, Sequence[Spotted]], spoken: Mapping[str, Sequence[Spoken]]
) -> list[Operating]:
    """One per distance that occurs, with one threshold for all words and files; ascending limits.

    Findings of equal distance pass or fail together.

    Args:
        spotted: file -> findings, all those below a loose limit.
        spoken: file -> truth; its files are those that count.
    """
    rows: list[tuple[float, bool]] = []
    for name, truth in spoken.items():
        found = spotted.get(name, ())
        rows += zip([s.distance for s in found], matched(found, truth), strict=True)
    rows.sort(key=lambda row: row[0])
    n_spoken = sum(len(truth) for truth in spoken.values())
    hits = np.cumsum([hit for _, hit in rows])
    points = {
        limit: Operating(2.0 * h / (k + n_spoken), h / k, h / max(1, n_spoken), limit)
        for k, (h, (limit, _)) in enumerate(zip(hits.tolist(), rows, strict=True), start=1)
    }
    return list(points.values())


def best_f1(points: Sequence[Operating]) -> Operating:
    """The threshold with the highest F1."""
    return max(points, key=lambda point: point.f1, default=Operating(0.0, 0.0, 0.0, 0.0))


def at_limit(points: Sequence[Operating], limit: float) -> Operating:
    """The figures at a given threshold."""
    return max((p for p in points if p.limit <= limit), key=lambda p: p.limit, default=Operating(0.0, 0.0, 0.0, limit))
