"""From edged's events to MQTT messages: a pure step."""

from __future__ import annotations

import json
from typing import Any

from edged.bridge.topics import Message, Topics
from edged.events.tracking import interval_s

DAEMON = "edged"
ONLINE, OFFLINE = b"online", b"offline"
ON, OFF = b"ON", b"OFF"
SILENT_AFTER_S = 15.0


class Translator:
    """Knows which alarms last, and when a score was sent last.

    Args:
        topics: the device's.
        scores_every_s: of each stream; 0 = no scores.
    """

    def __init__(self, topics: Topics, scores_every_s: float) -> None:
        self._topics = topics
        self._scores_every_s = scores_every_s
        self._score_at_s: dict[str, float] = {}
        self._streams: set[str] = set()

    def know(self, streams: set[str]) -> None:
        """The streams there are."""
        self._streams |= streams

    def messages(self, event: dict[str, Any], now_s: float) -> list[Message]:
        """What the broker is told of an event; nothing of heartbeats.

        Args:
            now_s: monotonic.
        """
        kind, stream = event.get("kind"), str(event.get("stream", ""))
        if kind == "keyword":
            return [Message(self._topics.keyword(stream, str(event.get("keyword", ""))), _body(event))]
        if kind == "score":
            return self._score(event, stream, now_s)
        if kind == "status":
            return [Message(self._topics.status(stream), _body(event)), *self._new_life(event)]
        if event.get("monitor") == "anomaly":
            self._streams.add(stream)
            state = {"onset": ON, "update": ON, "cleared": OFF}.get(str(kind))
            told = [Message(self._topics.anomaly(stream), _body(event))]
            return told + ([Message(self._topics.anomaly_state(stream), state, retain=True)] if state else [])
        return []

    def _score(self, event: dict[str, Any], stream: str, now_s: float) -> list[Message]:
        if not self._scores_every_s or now_s < self._score_at_s.get(stream, now_s):
            return []
        self._score_at_s[stream] = now_s + self._scores_every_s
        return [Message(self._topics.score(stream), _body(event), qos=0)]

    def _new_life(self, event: dict[str, Any]) -> list[Message]:
        """A daemon that has just begun has no alarm that lasts."""
        facts = (event.get("stream"), event.get("subject"))
        if facts != (DAEMON, "daemon") or str(event.get("state")) not in {"ready", "safe mode"}:
            return []
        return [Message(self._topics.anomaly_state(name), OFF, retain=True) for name in sorted(self._streams)]


class Liveness:
    """Whether the daemon is heard: it says so itself every few seconds.

    Args:
        topic: where it is told.
    """

    def __init__(self, topic: str, now_s: float) -> None:
        self._topic = topic
        self._heard_s, self._every_s = now_s, 0.0
        self._is_told: bool | None = None

    def heard(self, event: dict[str, Any], now_s: float) -> list[Message]:
        """The daemon said something; only heartbeats are never of the past."""
        if event.get("kind") != "heartbeat":
            return []
        self._heard_s = now_s
        self._every_s = interval_s(event)
        return self._tell(is_alive=True)

    def tick(self, now_s: float) -> list[Message]:
        """Time passes."""
        is_silent = now_s - self._heard_s > max(SILENT_AFTER_S, 3.0 * self._every_s)
        return self._tell(is_alive=False) if is_silent else []

    def _tell(self, *, is_alive: bool) -> list[Message]:
        if self._is_told is is_alive:
            return []
        self._is_told = is_alive
        return [Message(self._topic, ONLINE if is_alive else OFFLINE, retain=True)]


def _body(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
