"""The client that people import: events as they come, with holes found and filled from the journal.

    from edged.events.subscriber import Subscriber

    with Subscriber("ipc:///run/edged/events.sock", ["anomaly.", "keyword."],
                    control_endpoint="ipc:///run/edged/control.sock", cursor="seen.json") as events:
        for event in events:
            print(event["time"], event["stream"], event["kind"], event["score"])

A lost connection is made again by itself, and numbers that were missed meanwhile are asked for, over restarts of the
daemon and, with a cursor, of this program. No message can raise; see ``counts`` for what was passed over. Events come
in the order of their numbers, at least once: the one that was being dealt with when this program ended comes again.
"""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

import zmq
import zmq.asyncio
import zmq.auth

from edged.control.client import AsyncControlClient, ControlClient
from edged.errors import ControlError, EdgedError
from edged.events.cursor import CursorFile, Position
from edged.events.schema import HEARTBEAT_TOPIC
from edged.events.tracking import Counts, Event, Tracker
from edged.security import connectable

_RECONNECT_MS, _RECONNECT_MAX_MS = (100, 300), 10_000
_MAX_MESSAGE_BYTES = 256 << 10
_RECEIVE_HIGH_WATER_MARK = 1000
_PING_MS, _PING_TIMEOUT_MS = 10_000, 30_000
_SILENCE_S = 30.0
"""After so long without a message, or three heartbeats, the socket is made anew: ZeroMQ gives up for good on a peer
that broke the protocol once, with a message that is too large, say."""
_ANSWER_WITHIN_S, _CONNECT_WITHIN_S = 5.0, 1.0
_JOURNALLED = ("anomaly.", "keyword.", "status.")
"""All of them are subscribed to, whatever is wanted: only who sees every number knows which are missing."""

_S = TypeVar("_S", bound="zmq.Socket[Any]")
_C = TypeVar("_C", ControlClient, AsyncControlClient)


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


class _Subscription(ABC, Generic[_S, _C]):
    """What both subscribers share: all but the waiting."""

    def __init__(
        self,
        endpoint: str,
        topics: Sequence[str] = ("",),
        control_endpoint: str | None = None,
        *,
        after_seq: int | Position | None = None,
        curve: CurveClient | None = None,
        cursor: str | Path | None = None,
    ) -> None:
        self._cursor = CursorFile(Path(cursor)) if cursor is not None else None
        start = self._cursor.load() if self._cursor else None
        if start is None and after_seq is not None:
            start = after_seq if isinstance(after_seq, Position) else Position(after_seq)
        self._endpoint, self._topics, self._curve = endpoint, tuple(topics), curve
        self._tracker = Tracker(self._topics, start, can_ask=control_endpoint is not None)
        self._socket = self._connected()
        self._control: _C | None = self._new_client(control_endpoint) if control_endpoint else None

    def close(self) -> None:
        """Disconnect; the event received last counts as not dealt with."""
        if self._cursor is not None:
            self._cursor.close()
        self._socket.close()
        if self._control is not None:
            self._control.close()

    @property
    def counts(self) -> Counts:
        """What became of messages so far."""
        return self._tracker.counts

    @property
    def missed(self) -> int:
        """Events that nobody holds any more, or that could not be asked for."""
        return self._tracker.counts.missed

    @property
    def position(self) -> Position | None:
        """Everything up to here was given out; None before the first message."""
        return self._tracker.position

    def _save(self) -> None:
        """What was given out before has been dealt with."""
        position = self._tracker.position
        if self._cursor and position:
            self._cursor.save(position)

    def _take(self, parts: list[bytes]) -> None:
        self._heard_s = time.monotonic()
        self._tracker.take(parts)

    def _silent_in_s(self) -> float:
        """How long until we no longer believe that there is just nothing to hear; negative = we do not."""
        return self._heard_s + max(_SILENCE_S, 3 * self._tracker.heartbeat_s) - time.monotonic()

    def _wait_ms(self, deadline_s: float | None) -> int:
        """How long to wait for a message: until the deadline, the next question, or the end of our patience."""
        now_s = time.monotonic()
        waits_s = [self._silent_in_s(), self._tracker.wait_s(now_s), None if deadline_s is None else deadline_s - now_s]
        return max(0, round(1000 * min(wait_s for wait_s in waits_s if wait_s is not None)))

    def _is_over(self, deadline_s: float | None) -> bool:
        """Nothing came: whether the deadline has passed. A socket that was silent for too long is made anew first."""
        if self._silent_in_s() <= 0:
            self._socket.close()
            self._socket = self._connected()
            return False
        return deadline_s is not None and time.monotonic() >= deadline_s

    @abstractmethod
    def _new_socket(self) -> _S: ...

    @abstractmethod
    def _new_client(self, endpoint: str) -> _C: ...

    def _connected(self) -> _S:
        self._heard_s = time.monotonic()
        socket = self._new_socket()
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, random.randint(*_RECONNECT_MS))  # noqa: S311 - so that many do not come at once
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
        socket.setsockopt(zmq.RCVHWM, _RECEIVE_HIGH_WATER_MARK)
        socket.setsockopt(zmq.MAXMSGSIZE, _MAX_MESSAGE_BYTES)
        socket.setsockopt(zmq.HEARTBEAT_IVL, _PING_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _PING_TIMEOUT_MS)
        for topic in {*self._topics, *_JOURNALLED, HEARTBEAT_TOPIC}:
            socket.setsockopt_string(zmq.SUBSCRIBE, topic)
        if self._curve is not None:
            self._curve.apply(socket)
        socket.connect(connectable(self._endpoint))
        return socket


class Subscriber(_Subscription["zmq.Socket[bytes]", ControlClient]):
    """Events of a daemon as dictionaries; belongs to one thread.

    Args:
        endpoint: the daemon's event socket.
        topics: prefixes, such as ``anomaly.press-3``; everything by default.
        control_endpoint: the daemon's control socket; without it holes are counted but not filled.
        after_seq: first give everything journalled after this number, or this position of an earlier subscriber.
        curve: keys, if the daemon asks for them.
        cursor: a small file that remembers how far we came; where it exists it counts, not ``after_seq``.

    Raises:
        UsageError: the cursor's file cannot be used.
    """

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._save()
        self.close()

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self.receive()
            if event is not None:
                yield event

    def receive(self, timeout_s: float | None = None) -> Event | None:
        """The next event, or None when ``timeout_s`` passes first; the one before counts as dealt with.

        Raises:
            UsageError: the cursor's file cannot be written.
        """
        self._save()
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            event = self._tracker.pop()
            if event is not None:
                return event
            self._ask()
            if self._tracker.is_filling or self._tracker.has_ready:
                continue
            self._save()  # a heartbeat tells where the journal is: who ends before the first event goes on from there
            if self._socket.poll(self._wait_ms(deadline_s)):
                self._take(self._socket.recv_multipart())
            elif self._is_over(deadline_s):
                return None

    def _new_socket(self) -> zmq.Socket[bytes]:
        return zmq.Context.instance().socket(zmq.SUB)

    def _new_client(self, endpoint: str) -> ControlClient:
        return ControlClient(endpoint, _ANSWER_WITHIN_S, self._curve, connect_within_s=_CONNECT_WITHIN_S)

    def _ask(self) -> None:
        request = self._tracker.request(time.monotonic())
        if request is None or self._control is None:
            return
        try:
            answer = self._control.call("events.replay", request)
        except EdgedError:
            self._tracker.failed(time.monotonic())
        else:
            self._tracker.answered(answer, time.monotonic())


class AsyncSubscriber(_Subscription[zmq.asyncio.Socket, AsyncControlClient]):
    """The same for asyncio: ``async with``, ``async for``, or ``await receive()``; belongs to one event loop.

    Args: as for `Subscriber`.

    Raises:
        UsageError: the cursor's file cannot be used.
    """

    async def __aenter__(self) -> AsyncSubscriber:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._save()
        self.close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            event = await self.receive()
            if event is not None:
                yield event

    async def receive(self, timeout_s: float | None = None) -> Event | None:
        """The next event, or None when ``timeout_s`` passes first; the one before counts as dealt with.

        Raises:
            UsageError: the cursor's file cannot be written.
        """
        if self._cursor:
            await asyncio.to_thread(self._save)
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            event = self._tracker.pop()
            if event is not None:
                return event
            await self._ask()
            if self._tracker.is_filling or self._tracker.has_ready:
                continue
            self._save()  # a heartbeat tells where the journal is: who ends before the first event goes on from there
            if await self._socket.poll(self._wait_ms(deadline_s)):
                self._take(await self._socket.recv_multipart())
            elif self._is_over(deadline_s):
                return None

    def _new_socket(self) -> zmq.asyncio.Socket:
        return zmq.asyncio.Context.instance().socket(zmq.SUB)

    def _new_client(self, endpoint: str) -> AsyncControlClient:
        return AsyncControlClient(endpoint, _ANSWER_WITHIN_S, self._curve, connect_within_s=_CONNECT_WITHIN_S)

    async def _ask(self) -> None:
        request = self._tracker.request(time.monotonic())
        if request is None or self._control is None:
            return
        try:
            answer = await self._control.call("events.replay", request)
        except EdgedError:
            self._tracker.failed(time.monotonic())
        else:
            self._tracker.answered(answer, time.monotonic())
