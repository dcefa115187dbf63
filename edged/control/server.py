"""The thread that owns the ROUTER socket: quick verbs are answered at once, long ones by a job thread.

Whatever comes in, an answer goes out (or the message is dropped and counted); nothing a peer sends ends the daemon.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import zmq

from edged.config import ControlSettings, remote_endpoint
from edged.control.protocol import Request, failure, parse_request, request_id, success
from edged.errors import ControlError, EdgedError
from edged.security import SocketGuard
from edged.security.counts import Refusal
from edged.security.guard import user_of

_log = logging.getLogger(__name__)

Verb = Callable[[dict[str, Any]], dict[str, Any]]

MAX_JOBS = 8
_SEND_HIGH_WATER_MARK = 100
_RECEIVE_HIGH_WATER_MARK = 4
"""Requests of a peer that wait; with the largest ones, that is what it can make the daemon hold."""
_LINGER_MS = 300


class ControlServer:
    """Answers requests.

    Args:
        quick: verbs that answer at once, by name; run in this server's thread.
        long: verbs that take long; run one after the other in a job thread.
    """

    def __init__(
        self,
        guard: SocketGuard,
        endpoint: str,
        settings: ControlSettings,
        *,
        quick: Mapping[str, Verb],
        long: Mapping[str, Verb],
    ) -> None:
        self._guard, self._endpoint, self._settings = guard, endpoint, settings
        self._remote = remote_endpoint(settings.bind)
        self._quick, self._long = {"ping": lambda _: {}, **quick}, dict(long)
        self._jobs = ThreadPoolExecutor(max_workers=1, thread_name_prefix="job")
        self._free_jobs = threading.BoundedSemaphore(MAX_JOBS)
        self._at_work = threading.Lock()  # held by the job that runs
        self._answers: deque[list[bytes]] = deque()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake_lock = threading.Lock()
        self._stopping = False
        self._failure: EdgedError | None = None
        self._ready = threading.Event()
        self.refused = 0
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def is_busy(self) -> bool:
        """Whether a job runs, be it after `stop`."""
        return self._at_work.locked()

    def finish_job(self) -> None:
        """Wait until no job runs, after `stop`."""
        with self._at_work:
            pass

    def start(self) -> None:
        """Bind and answer.

        Raises:
            ConfigError: the endpoint cannot be bound, or may not be.
        """
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self, timeout_s: float) -> bool:
        """End; a job that runs finishes by itself. Whether the thread ended in time."""
        self._stopping = True
        self._wake()
        self._thread.join(timeout_s)
        self._jobs.shutdown(wait=False, cancel_futures=True)
        return not self._thread.is_alive()

    def _close_wake(self) -> None:
        with self._wake_lock:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_write = -1

    def _wake(self) -> None:
        with self._wake_lock, contextlib.suppress(BlockingIOError):  # full means awake
            if self._wake_write >= 0:
                os.write(self._wake_write, b"!")

    def _run(self) -> None:
        socket: zmq.Socket[bytes] = self._guard.context.socket(zmq.ROUTER)
        # up to twice the limit the refusal is said and counted; what is larger is cut off by ZeroMQ before it is read
        socket.setsockopt(zmq.MAXMSGSIZE, 2 * self._settings.max_message_bytes)
        socket.setsockopt(zmq.SNDHWM, _SEND_HIGH_WATER_MARK)
        socket.setsockopt(zmq.RCVHWM, _RECEIVE_HIGH_WATER_MARK)
        try:
            self._guard.bind(socket, self._endpoint, remote=self._remote)
        except EdgedError as error:
            self._failure = error
            socket.close(linger=0)
            return
        finally:
            self._ready.set()
        try:
            self._serve(socket)
        finally:
            socket.close(linger=_LINGER_MS)
            self._close_wake()

    def _serve(self, socket: zmq.Socket[bytes]) -> None:
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(self._wake_read, zmq.POLLIN)
        while not self._stopping:
            ready = dict(poller.poll())
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
            if socket in ready:
                frames = socket.recv_multipart(copy=False)
                self._take([frame.bytes for frame in frames], user_of(frames[-1]))
            while self._answers:
                self._send(socket, self._answers.popleft())

    def _send(self, socket: zmq.Socket[bytes], parts: list[bytes]) -> None:
        try:
            socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.Again:  # a peer that asks and does not read
            self.refused += 1

    def _take(self, parts: list[bytes], user: bytes | None = None) -> None:
        """Answer a message.

        Args:
            user: public key of who sent it; None where none was asked for.
        """
        *envelope, body = parts
        if not 1 <= len(envelope) <= 2:
            self._refuse("requests_malformed")
            return
        try:
            request = self._checked(body, user)
        except ControlError as error:
            self._answers.append([*envelope, failure(request_id(body), error)])
            return
        self._dispatch(envelope, request)

    def _checked(self, body: bytes, user: bytes | None) -> Request:
        """The request, if it is one that this peer may make.

        Raises:
            ControlError: it is not.
        """
        if len(body) > self._settings.max_message_bytes:
            self._refuse("requests_too_large")
            limit = f"control.max_message_bytes is {self._settings.max_message_bytes}"
            raise ControlError(f"a request of {len(body)} bytes is too large", fix=limit)
        try:
            request = parse_request(body)
        except ControlError:
            self._refuse("requests_malformed")
            raise
        if not self._guard.may_ask(user, request.verb):
            self._refuse("requests_forbidden")
            fix = "on the device, `edged keys add NAME --control` makes one that may"
            raise ControlError(f"'{request.verb}': this key may listen, not control", fix=fix)
        return request

    def _refuse(self, what: Refusal) -> None:
        self.refused += 1
        self._guard.refusals.count(what)

    def _dispatch(self, envelope: list[bytes], request: Request) -> None:
        if request.verb in self._quick:
            self._answers.append([*envelope, _answer(self._quick[request.verb], request)])
        elif request.verb not in self._long:
            known = ", ".join(sorted([*self._quick, *self._long]))
            error = ControlError(f"no such verb: '{request.verb}'", fix=f"one of {known}")
            self._answers.append([*envelope, failure(request.id, error)])
        elif not self._free_jobs.acquire(blocking=False):
            error = ControlError("too many long requests wait already", fix="try again later")
            self._answers.append([*envelope, failure(request.id, error)])
        else:
            self._jobs.submit(self._job, envelope, request)

    def _job(self, envelope: list[bytes], request: Request) -> None:
        with self._at_work:
            answer = _answer(self._long[request.verb], request)
        self._free_jobs.release()
        self._answers.append([*envelope, answer])
        self._wake()


def _answer(verb: Verb, request: Request) -> bytes:
    """A verb's answer; the top of what a request can reach, so nothing passes it."""
    try:
        return success(request.id, verb(request.args))
    except EdgedError as error:
        return failure(request.id, error)
    except Exception as error:  # noqa: BLE001 - a thread's top: reported to log and peer
        _log.exception("control: '%s' failed", request.verb)
        return failure(request.id, ControlError(f"'{request.verb}' failed: {type(error).__name__}: {error}"))
