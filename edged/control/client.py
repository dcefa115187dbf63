"""Asking the running daemon something."""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import zmq
import zmq.asyncio

from edged.control.protocol import Request, result_of
from edged.errors import ControlError
from edged.security import connectable

MAX_REQUEST_BYTES = 1 << 20
"""The daemon drops larger ones by default (`control.max_message_bytes`)."""
_CONNECT_TIMEOUT_S = 2.0
_PING_TIMEOUT_S = 1.0
_LOOK_EVERY_S = 0.5
_MAX_ANSWER_BYTES = 64 << 20
_RECONNECT_MAX_MS = 5000

_S = TypeVar("_S", bound="zmq.Socket[Any]")


class Keys(Protocol):
    """What gives a socket its CURVE keys."""

    def apply(self, socket: zmq.Socket[Any]) -> None:
        """Set the socket's keys."""
        ...


class _Client(ABC, Generic[_S]):
    """A socket to a daemon, and the numbers of its requests; arguments: those of `ControlClient`."""

    def __init__(
        self,
        endpoint: str,
        timeout_s: float = 10.0,
        curve: Keys | None = None,
        *,
        connect_within_s: float | None = None,
    ) -> None:
        self._endpoint, self._curve = endpoint, curve
        self._timeout_s = timeout_s
        self._connect_within_ms = round(1000 * (_CONNECT_TIMEOUT_S if connect_within_s is None else connect_within_s))
        self._numbers = itertools.count(1)
        self._socket = self._connected()

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    @abstractmethod
    def _new_socket(self) -> _S: ...

    def _connected(self) -> _S:
        socket = self._new_socket()
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)  # so that "nobody there" is noticed before anything is sent
        socket.setsockopt(zmq.MAXMSGSIZE, _MAX_ANSWER_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
        if self._curve is not None:
            self._curve.apply(socket)
        socket.connect(connectable(self._endpoint))
        return socket

    def _renew(self) -> None:
        """ZeroMQ gives up for good on a peer that broke the protocol once; the next call finds whoever is there."""
        self._socket.close()
        self._socket = self._connected()

    def _nobody(self) -> ControlError:
        self._renew()
        return ControlError(f"no daemon answers at {self._endpoint}", fix="start it with `edged run`")

    def _gone(self, verb: str) -> ControlError:
        message = f"the daemon at {self._endpoint} ended before it answered '{verb}'"
        return ControlError(message, fix="see its log, and `edged references show` for what it had stored")

    def _no_answer(self, verb: str) -> ControlError:
        self._renew()
        return ControlError(f"the daemon at {self._endpoint} did not answer '{verb}' in time", fix="see its log")


class ControlClient(_Client["zmq.Socket[bytes]"]):
    """One client of a control socket; belongs to one thread.

    Args:
        endpoint: the daemon's control socket.
        timeout_s: how long an answer may take.
        curve: keys, if the daemon asks for them.
        connect_within_s: how long to look for a daemon.
    """

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, verb: str, args: dict[str, Any] | None = None, timeout_s: float | None = None) -> dict[str, Any]:
        """The daemon's answer.

        Raises:
            ControlError: no daemon answers.
            EdgedError: what the daemon refused with, in its own class.
        """
        identity = str(next(self._numbers))
        body = _request(identity, verb, args)
        if not self._socket.poll(self._connect_within_ms, zmq.POLLOUT):
            raise self._nobody()
        self._socket.send(body)
        deadline_s = time.monotonic() + (timeout_s or self._timeout_s)
        while self._wait(verb, deadline_s):
            result = result_of(self._socket.recv(), identity)
            if result is not None:
                return result
        raise self._no_answer(verb)

    def _new_socket(self) -> zmq.Socket[bytes]:
        return zmq.Context.instance().socket(zmq.DEALER)

    def _wait(self, verb: str, deadline_s: float) -> bool:
        """Whether something came before the deadline.

        Raises:
            ControlError: the daemon went away meanwhile, and its answer with it.
        """
        while (left_s := deadline_s - time.monotonic()) > 0:
            if self._socket.poll(round(min(left_s, _LOOK_EVERY_S) * 1000)):
                return True
            if not self._socket.poll(0, zmq.POLLOUT):  # no longer connected to anybody
                raise self._gone(verb)
        return False


class AsyncControlClient(_Client[zmq.asyncio.Socket]):
    """The same for asyncio; belongs to one event loop, one call at a time. Arguments: those of `ControlClient`."""

    async def call(self, verb: str, args: dict[str, Any] | None = None) -> dict[str, Any]:
        """The daemon's answer.

        Raises:
            ControlError: no daemon answers.
            EdgedError: what the daemon refused with, in its own class.
        """
        identity = str(next(self._numbers))
        body = _request(identity, verb, args)
        if not await self._socket.poll(self._connect_within_ms, zmq.POLLOUT):  # type: ignore[call-arg]  # its stub's
            raise self._nobody()
        await self._socket.send(body)
        deadline_s = time.monotonic() + self._timeout_s
        while await self._wait(verb, deadline_s):
            result = result_of(await self._socket.recv(), identity)
            if result is not None:
                return result
        raise self._no_answer(verb)

    async def _wait(self, verb: str, deadline_s: float) -> bool:
        """Whether something came before the deadline.

        Raises:
            ControlError: the daemon went away meanwhile, and its answer with it.
        """
        while (left_s := deadline_s - time.monotonic()) > 0:
            if await self._socket.poll(round(min(left_s, _LOOK_EVERY_S) * 1000)):
                return True
            if not await self._socket.poll(0, zmq.POLLOUT):  # type: ignore[call-arg]  # its stub's
                raise self._gone(verb)
        return False

    def _new_socket(self) -> zmq.asyncio.Socket:
        return zmq.asyncio.Context.instance().socket(zmq.DEALER)


def _request(identity: str, verb: str, args: dict[str, Any] | None) -> bytes:
    body = Request(id=identity, verb=verb, args=args or {}).model_dump_json().encode()
    if len(body) > MAX_REQUEST_BYTES:
        raise ControlError(f"'{verb}': a request of {len(body)} bytes is too large", fix="name a directory of clips")
    return body


def running_daemon(endpoint: str) -> ControlClient | None:
    """A client of the daemon at an endpoint, or None if nothing answers there."""
    path = endpoint.removeprefix("ipc://")
    if path != endpoint and not Path(path).is_socket():
        return None
    client = ControlClient(endpoint)
    try:
        client.call("ping", timeout_s=_PING_TIMEOUT_S)
    except ControlError:
        client.close()
        return None
    return client
