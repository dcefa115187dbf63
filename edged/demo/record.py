"""What the demo heard from the daemon, as it came over the socket; times are scene seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edged.flow import SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Said:
    """An anomaly or keyword event.

    Attributes:
        kind: ``onset``, ``update``, ``cleared``, ``keyword``.
        at_s: the scene's time when the daemon had heard enough to say it.
        onset_s: where it says the thing began; ``offset_s``: where it ended.
        bank: version of the references that decided.
    """

    kind: str
    stream: str
    at_s: float
    onset_s: float
    offset_s: float | None
    score: float
    threshold: float
    bank: int
    keyword: str = ""


@dataclass(frozen=True)
class Level:
    """The anomaly score of one segment."""

    at_s: float
    score: float
    threshold: float
    bank: int


@dataclass(frozen=True)
class Enrolled:
    """The new domain was enrolled on a stream while the daemon ran."""

    stream: str
    asked_s: float
    done_s: float
    wall_s: float
    bank: int


@dataclass
class Record:
    """Everything said so far; grows as messages come in."""

    said: list[Said] = field(default_factory=list)
    levels: dict[str, list[Level]] = field(default_factory=dict)
    enrolled: list[Enrolled] = field(default_factory=list)
    samples: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    lost_samples: int = 0
    last_seq: int = 0

    @property
    def now_s(self) -> float:
        """How far the scene has been heard."""
        last = [levels[-1].at_s for levels in self.levels.values()]
        return max([*last, *(said.at_s for said in self.said[-1:])], default=0.0)

    def holds_all(self, duration_s: float) -> bool:
        """Whether every monitor has taken in the whole scene and nothing waits any more."""
        books = [counts for monitors in self.samples.values() for counts in monitors.values()]
        wanted = int(duration_s * SAMPLE_RATE_HZ)
        return bool(books) and all(c["received"] >= wanted and c["pending"] == 0 for c in books)

    def take(self, event: Mapping[str, Any]) -> Said | None:
        """Note an event of any kind; the decision it holds, if it holds one."""
        if event.get("seq"):
            self.last_seq = int(event["seq"])
        kind = event.get("kind")
        if kind == "score":
            level = Level(_seconds(event["sample_end"]), event["score"], event["threshold"], event["bank"])
            self.levels.setdefault(event["stream"], []).append(level)
        elif kind == "heartbeat":
            self.samples = dict(event["samples"])
        elif kind in ("onset", "update", "cleared", "keyword"):
            self.said.append(said := _said(event))
            self.lost_samples = max(self.lost_samples, event["lost_samples"])
            return said
        return None

    def alarm_of(self, stream: str) -> Said | None:
        """The onset that has not been cleared yet."""
        changes = [said for said in self.said if said.stream == stream and said.kind in ("onset", "cleared")]
        return changes[-1] if changes and changes[-1].kind == "onset" else None


def _said(event: Mapping[str, Any]) -> Said:
    return Said(
        kind=event["kind"],
        stream=event["stream"],
        at_s=_seconds(event["sample_end"]),
        onset_s=event["onset_s"],
        offset_s=event["offset_s"],
        score=event["score"],
        threshold=event["threshold"],
        bank=event["bank"],
        keyword=event.get("keyword", ""),
    )


def _seconds(sample: int) -> float:
    return sample / SAMPLE_RATE_HZ
