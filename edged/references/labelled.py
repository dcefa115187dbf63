"""Sounds that an operator labelled as anomalies: kept with the bank, respected by its threshold, never enrolled.

One label lowers the threshold to just below its score where no enrolled normal clip would raise an alarm then. Where
one would, the two cannot be told apart by this monitor: the threshold stays, unless the operator insists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.errors import EnrolmentError, StateError
from edged.flow import Float32Array, Float64Array
from edged.score.anomaly import AnomalyScorer

MAX_LABELLED = 200
MAX_ROWS_OF_ONE = 8
MARGIN = 0.02
"""How far below a labelled anomaly's score the threshold goes, as a share of it."""
MIN_MARGIN = 0.05
_PREFIX = "labelled/"


@dataclass(frozen=True)
class LabelledAnomaly:
    """One sound that is an anomaly, whatever else resembles it.

    Attributes:
        event_id: of the event it was heard at.
        name: of its clip; `sha256`: of the clip's samples.
        labelled_at: RFC 3339 UTC.
        vectors: representation name -> float32 (n_segments, dim), its most anomalous segments.
        insists: whether the threshold follows it even where normal sound then raises alarms.
    """

    event_id: str
    name: str
    sha256: str
    labelled_at: str
    vectors: Mapping[str, Float32Array]
    insists: bool = False

    def score(self, scorer: AnomalyScorer) -> float:
        """The anomaly score that half of its segments reach."""
        return float(np.median(scorer.scores(self.vectors)))


@dataclass(frozen=True)
class Separation:
    """What labelled anomalies allow.

    Attributes:
        ceiling: the highest threshold below all of them that can be told apart; None = none is known.
        inseparable: events whose anomaly normal sound does not allow for, and that nobody insists on.
    """

    ceiling: float | None = None
    inseparable: tuple[str, ...] = ()


def separation(
    scorer: AnomalyScorer, labelled: Sequence[LabelledAnomaly], clip_of_row: NDArray[np.int64]
) -> Separation:
    """Where the threshold may lie so that every labelled anomaly that can be told apart stays above it.

    Args:
        scorer: fitted to normal sound.
        clip_of_row: (n_references,), the clip each of its references was cut from.
    """
    highest_normal = float(np.max(clip_means(scorer.normal_scores, clip_of_row), initial=-np.inf))
    wanted = {one.event_id: just_below(one.score(scorer)) for one in labelled}
    insisted = {one.event_id for one in labelled if one.insists}
    allowed = [level for event, level in wanted.items() if event in insisted or level > highest_normal]
    lost = tuple(event for event, level in wanted.items() if event not in insisted and level <= highest_normal)
    return Separation(min(allowed, default=None), lost)


def clip_means(normal_scores: Float64Array, clip_of_row: NDArray[np.int64]) -> Float64Array:
    """Mean leave-one-clip-out score of every clip that has one.

    >>> clip_means(np.array([1.0, 3.0, np.nan]), np.array([0, 0, 1])).tolist()
    [2.0]
    """
    known = np.isfinite(normal_scores)
    _, number = np.unique(clip_of_row[known], return_inverse=True)
    return np.asarray(np.bincount(number, normal_scores[known]) / np.maximum(np.bincount(number), 1))


def just_below(score: float) -> float:
    """A threshold that a score exceeds."""
    return score - max(MIN_MARGIN, MARGIN * abs(score))


def labelled_now(
    event_id: str, name: str, sha256: str, vectors: Mapping[str, Float32Array], scorer: AnomalyScorer, *, insists: bool
) -> LabelledAnomaly:
    """A label made now, from all segments of an event's clip: the higher half of them, by score, is the anomaly.

    Args:
        vectors: representation name -> float32 (n_segments, dim).
    """
    scores = scorer.scores(vectors)
    order = np.argsort(-scores, kind="stable")
    chosen = np.sort(order[: min(max(1, -(-len(scores) // 2)), MAX_ROWS_OF_ONE)])
    kept = {key: np.ascontiguousarray(rows[chosen], np.float32) for key, rows in vectors.items()}
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return LabelledAnomaly(event_id, name, sha256, now, kept, insists)


def with_label(labelled: Sequence[LabelledAnomaly], one: LabelledAnomaly) -> tuple[LabelledAnomaly, ...]:
    """All labels and one more, which takes the place of an earlier one for the same event or sound.

    Raises:
        EnrolmentError: there are too many; none is ever dropped.
    """
    kept = tuple(old for old in labelled if old.event_id != one.event_id and old.sha256 != one.sha256)
    if len(kept) >= MAX_LABELLED:
        raise EnrolmentError(f"{MAX_LABELLED} anomalies are labelled already", fix="`edged references rollback`")
    return (*kept, one)


def labelled_to_store(labelled: Sequence[LabelledAnomaly]) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """Facts and arrays of a bank."""
    facts = [
        {
            "event_id": one.event_id, "name": one.name, "sha256": one.sha256, "labelled_at": one.labelled_at,
            "insists": one.insists, "n_segments": len(next(iter(one.vectors.values()))),
        }
        for one in labelled
    ]  # fmt: skip
    names = labelled[0].vectors if labelled else ()
    return facts, {_PREFIX + name: np.concatenate([one.vectors[name] for one in labelled]) for name in names}


def labelled_of_store(
    facts: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[Any]]
) -> tuple[LabelledAnomaly, ...]:
    """The reverse; banks stored before there were labels have none.

    Raises:
        StateError: damaged.
    """
    stacked = {key.removeprefix(_PREFIX): rows for key, rows in arrays.items() if key.startswith(_PREFIX)}
    ends = np.cumsum([int(one["n_segments"]) for one in facts], dtype=np.int64)
    if facts and (not stacked or any(len(rows) != ends[-1] for rows in stacked.values())):
        raise StateError("labelled anomalies are damaged", fix="roll back to an earlier version")
    labelled = []
    for end, one in zip(ends, facts, strict=True):
        rows = slice(int(end) - int(one["n_segments"]), int(end))
        vectors = {name: np.asarray(values[rows], np.float32) for name, values in stacked.items()}
        fields = {key: one[key] for key in ("event_id", "name", "sha256", "labelled_at", "insists")}
        labelled.append(LabelledAnomaly(vectors=vectors, **fields))
    return tuple(labelled)
