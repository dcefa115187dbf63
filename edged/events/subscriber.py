"""The client that people import: events as they come, with holes found and filled from the journal.

    from edged.events.subscriber import Subscriber

    with Subscriber("ipc:///run/edged/events.sock", ["anomaly.", "keyword."],
                    control_endpoint="ipc:///run/edged/control.sock") as events:
        for event in events:
            print(event["time"], event["stream"], event["kind"], event["score"])

A lost connection is made again by itself; numbers that were missed meanwhile are asked for.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
import zmq.auth

from edged.control.client import ControlClient
from edged.errors import ControlError, EdgedError
from edged.security import connectable

HEARTBEAT_TOPIC = "edged.heartbeat"
_RECONNECT_MS, _RECONNECT_MAX_MS = 100, 10_000
_MAX_MESSAGE_BYTES = 1 << 20
_REPLAY_PAGE = 500


@dataclass(frozen=True, slots=True)
class CurveClient:
    """Key files for a daemon that asks for them: the server's public key and our own certificate."""

    server_public_key: Path
    own_secret_key: Path

    def apply(self, socket: zmq.Socket[Any]) -> None:
        """Give a socket our keys."""
        server, _ = zmq.auth.load_certificate(self.server_public_key)
        public, secret = zmq.auth.load_certificate(self.own_secret_key)
        if secret is None:
            raise ControlError(f"{self.own_secret_key}: holds no secret key")
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = server, public, secret


class Subscriber:
    """Events of a daemon as dictionaries, in the order of their numbers.

    Args:
        endpoint: the daemon's event socket.
        topics: prefixes, such as ``anomaly.press-3``; everything by default.
        control_endpoint: the daemon's control socket; without it holes are counted but not filled.
        after_seq: first give everything journalled after this number.
        curve: keys, if the daemon asks for them.
    """

    def __init__(
        self,
        endpoint: str,
        topics: Sequence[str] = ("",),
        control_endpoint: str | None = None,
        after_seq: int | None = None,
        curve: CurveClient | None = None,
    ) -> None:
        self._topics = tuple(topics)
        self._last_seq = after_seq
        self._boot = ""
        self._ready: deque[dict[str, Any]] = deque()
        self.missed = 0
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _MAX_MESSAGE_BYTES)
        for topic in {*self._topics, HEARTBEAT_TOPIC}:
            self._socket.setsockopt_string(zmq.SUBSCRIBE, topic)
        if curve is not None:
            curve.apply(self._socket)
        self._socket.connect(connectable(endpoint))
        self._control = ControlClient(control_endpoint, curve=curve) if control_endpoint else None

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            event = self.receive()
            if event is not None:
                yield event

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()
        if self._control is not None:
            self._control.close()

    def receive(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """The next event, or None when ``timeout_s`` passes first."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._ready:
            wait_ms = None if deadline_s is None else max(0, round((deadline_s - time.monotonic()) * 1000))
            if not self._socket.poll(wait_ms):
                return None
            self._take(self._socket.recv_multipart())
        return self._ready.popleft()

    def _take(self, parts: list[bytes]) -> None:
        if len(parts) != 2:
            return
        topic, event = parts[0].decode(errors="replace"), json.loads(parts[1])
        newest = event.get("seq", event.get("last_seq"))
        if newest is not None:
            self._notice_hole(event, newest, is_event="seq" in event)
        wanted = topic.startswith(self._topics)
        if wanted and not ("seq" in event and self._seen(event["seq"])):
            self._ready.append(event)
        if newest is not None:
            self._last_seq = max(self._last_seq or 0, newest)

    def _notice_hole(self, event: dict[str, Any], newest: int, *, is_event: bool) -> None:
        """Fill what lies between the last number we know and this one."""
        if self._last_seq is None:
            self._last_seq = newest - is_event
        if event["boot"] != self._boot:
            self._boot = event["boot"]
            if newest < self._last_seq:  # the daemon's state was made anew: it counts from the start
                self._last_seq = 0
        before = newest if is_event else newest + 1
        if before - self._last_seq > 1:
            self._fill(before)

    def _fill(self, before: int) -> None:
        hole = before - (self._last_seq or 0) - 1
        if self._control is None:
            self.missed += hole if self._topics == ("",) else 0
            return
        try:
            self._replay(self._control, before)
        except (ControlError, EdgedError):
            self.missed += hole

    def _replay(self, control: ControlClient, before: int) -> None:
        after = self._last_seq or 0
        while True:
            request = {"after": after, "before": before, "topics": list(self._topics), "limit": _REPLAY_PAGE}
            events = control.call("events.replay", request)["events"]
            self._ready.extend(events)
            if len(events) < _REPLAY_PAGE:
                return
            after = events[-1]["seq"]

    def _seen(self, seq: int) -> bool:
        return self._last_seq is not None and seq <= self._last_seq
