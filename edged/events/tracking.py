"""What a subscriber has seen, what it missed, and what to ask for: no socket, no clock, no thread.

    message -> take -> (hole? -> request -> answered) -> pop -> event

Events come out in the order of their numbers. A hole is filled before what came after it, unless the journal cannot be
asked: then nothing is held back, and the hole is filled late, once it can. Whatever comes in, at most one page of past
events, one live message and `MAX_HOLES` ranges are held.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edged.events.cursor import Position
from edged.events.schema import HEARTBEAT_TOPIC

Event = dict[str, Any]

MAX_HOLES = 64
PAGE_EVENTS = 500
_MAX_SEQ = 1 << 62
_MAX_NAME = 256
_RETRY_S, _RETRY_MAX_S = 0.5, 30.0
_MAX_HEARTBEAT_S = 3600.0


@dataclass
class Counts:
    """What became of messages.

    Attributes:
        malformed: messages that are no events, and answers that are none; passed over.
        replayed: events that came from the journal.
        missed: numbers that nobody holds any more, or that could not be asked for.
        duplicates: events seen before; passed over.
        restarts: of the daemon; ``renumbered``: those with a new state, which counts from the start.
    """

    malformed: int = 0
    replayed: int = 0
    missed: int = 0
    duplicates: int = 0
    restarts: int = 0
    renumbered: int = 0


@dataclass
class _Hole:
    """Numbers above ``after`` and below ``before`` that were not seen."""

    after: int
    before: int


class Tracker:
    """One subscription.

    Args:
        topics: prefixes of what is wanted.
        start: where to go on; None: with what comes from now on.
        can_ask: whether there is a journal to ask; otherwise holes are only counted.

    Attributes:
        heartbeat_s: how often the daemon says that it lives; 0 before it said so.
    """

    def __init__(self, topics: Sequence[str] = ("",), start: Position | None = None, *, can_ask: bool = True) -> None:
        self._topics, self._can_ask = tuple(topics), can_ask
        self._last = start.seq if start else None
        self._journal = start.journal if start else ""
        self._boot = ""
        self._ready: deque[Event] = deque()
        self._held: Event | None = None
        self._holes: list[_Hole] = []
        self._fails = 0
        self._retry_at_s = 0.0
        self.heartbeat_s = 0.0
        self.counts = Counts()

    @property
    def position(self) -> Position | None:
        """Everything up to here was given out; None before the first message."""
        if self._last is None:
            return None
        waiting = [event["seq"] - 1 for event in (*self._ready, *filter(None, [self._held])) if "seq" in event]
        return Position(min([self._last, *waiting, *(hole.after for hole in self._holes)]), self._journal)

    @property
    def is_filling(self) -> bool:
        """Whether the journal is to be asked before anything else is read."""
        return bool(self._holes) and self._fails == 0

    @property
    def has_ready(self) -> bool:
        """Whether `pop` has something to give."""
        return bool(self._ready) or (self._held is not None and not self.is_filling)

    def wait_s(self, now_s: float) -> float | None:
        """How long until `request` has something to ask, None = nothing."""
        return max(0.0, self._retry_at_s - now_s) if self._holes else None

    def pop(self) -> Event | None:
        """The next event, or None."""
        if not self._ready and self._held is not None and not self.is_filling:
            self._ready.append(self._held)
            self._held = None
        return self._ready.popleft() if self._ready else None

    # -- live messages -------------------------------------------------------------------------------------------------

    def take(self, parts: Sequence[bytes]) -> None:
        """A message from the daemon's event socket; only after `pop` gave None."""
        found = _event_in(parts)
        if found is None:
            self.counts.malformed += 1
            return
        topic, event = found
        is_event = topic != HEARTBEAT_TOPIC
        newest = event.get("seq" if is_event else "last_seq")
        is_wanted = topic.startswith(self._topics)
        if not is_event:
            self.heartbeat_s = interval_s(event) or self.heartbeat_s
        if newest is None:  # telemetry
            self._hand_over(event, is_wanted=is_wanted)
            return
        self._note_life(event, newest, is_event=is_event)
        last = newest - is_event if self._last is None else self._last
        if is_event and newest <= last:
            self.counts.duplicates += 1
            return
        self._note_hole(last, newest if is_event else newest + 1)
        self._last = max(last, newest)
        self._hand_over(event, is_wanted=is_wanted)

    def _hand_over(self, event: Event, *, is_wanted: bool) -> None:
        if not is_wanted:
            return
        if self.is_filling:
            self._held = event
        else:
            self._ready.append(event)

    def _note_life(self, event: Event, newest: int, *, is_event: bool) -> None:
        """Notice another life of the daemon, another state, and numbers that were taken back."""
        journal, is_new_boot = event.get("journal", ""), event["boot"] != self._boot
        if journal and self._journal and journal != self._journal:
            self.counts.renumbered += 1
            self.counts.missed += sum(hole.before - hole.after - 1 for hole in self._holes)
            self._holes.clear()
            self._last = 0
        elif self._last is not None and newest < self._last and not is_event:
            self._last = newest  # a heartbeat knows better than whatever we were told
        elif self._last is not None and is_event and is_new_boot and self._boot and newest <= self._last:
            self._last = newest - 1
        self.counts.restarts += bool(is_new_boot and self._boot)
        self._boot, self._journal = event["boot"], journal or self._journal

    def _note_hole(self, last: int, before: int) -> None:
        if before - last <= 1:
            return
        if not self._can_ask:
            self.counts.missed += before - last - 1
            return
        self._holes.append(_Hole(last, before))
        if len(self._holes) > MAX_HOLES:  # what lies between them is given twice then
            newest = self._holes.pop()
            self._holes[-1].before = newest.before

    # -- past events ---------------------------------------------------------------------------------------------------

    def request(self, now_s: float) -> dict[str, Any] | None:
        """Arguments of the `events.replay` to send now, or None."""
        if self._ready or not self._holes or (self._fails and now_s < self._retry_at_s):
            return None
        hole = self._holes[0]
        return {"after": hole.after, "before": hole.before, "topics": list(self._topics), "limit": PAGE_EVENTS}

    def answered(self, answer: dict[str, Any], now_s: float) -> None:
        """The daemon's answer to the latest request."""
        hole = self._holes[0]
        page = _page_in(answer, hole)
        if page is None:
            self.counts.malformed += 1
            self.failed(now_s)
            return
        events, next_after, missing = page
        self._fails = 0
        self._ready.extend(events)
        self.counts.replayed += len(events)
        self.counts.missed += min(missing, hole.before - hole.after - 1)
        if next_after is None:
            self._holes.pop(0)
        else:
            hole.after = next_after

    def failed(self, now_s: float) -> None:
        """The daemon did not answer: hold nothing back, ask again later."""
        self._fails += 1
        wait_s = min(_RETRY_MAX_S, _RETRY_S * 2 ** min(self._fails - 1, 10))
        self._retry_at_s = now_s + wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - so that many do not ask at once


def interval_s(heartbeat: Event) -> float:
    """When the next heartbeat is to come, 0 = it does not say, or says what cannot be."""
    every_s = heartbeat.get("every_s", 0)
    return float(every_s) if type(every_s) in {int, float} and 0 < every_s <= _MAX_HEARTBEAT_S else 0.0


def _event_in(parts: Sequence[bytes]) -> tuple[str, Event] | None:
    """Topic and object of a message, or None: it is no event."""
    if len(parts) != 2 or len(parts[0]) > 4 * _MAX_NAME:
        return None
    try:
        topic, event = parts[0].decode(), json.loads(parts[1], parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("boot"), str) or len(event["boot"]) > _MAX_NAME:
        return None
    if not isinstance(event.get("journal", ""), str) or len(event.get("journal", "")) > _MAX_NAME:
        return None
    if topic == HEARTBEAT_TOPIC and "last_seq" not in event:
        return None
    is_sound = all(_is_number(event[key]) for key in ("seq", "last_seq") if key in event)
    return (topic, event) if is_sound else None


def _page_in(answer: dict[str, Any], hole: _Hole) -> tuple[list[Event], int | None, int] | None:
    """Events, number to go on after and missing numbers of an answer, or None: it makes no sense."""
    events, next_after, missing = answer.get("events"), answer.get("next"), answer.get("missing", 0)
    if not isinstance(events, list) or len(events) > PAGE_EVENTS or not _is_number(missing):
        return None
    if next_after is not None and not (_is_number(next_after) and hole.after < next_after < hole.before):
        return None
    before = hole.after
    for event in events:
        if not isinstance(event, dict) or not _is_number(event.get("seq")) or not before < event["seq"] < hole.before:
            return None
        before = event["seq"]
    return events, next_after, missing


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MAX_SEQ


def _no_number(text: str) -> float:
    raise ValueError(text)
