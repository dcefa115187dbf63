"""The thread at the door: answers ZeroMQ's authentication requests (ZAP, RFC 27) and watches who comes and goes.

pyzmq's own authenticator lets in or not; it neither counts nor tells who came from where, and would be a second thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from edged.security.connections import EVENTS, Connections
from edged.security.counts import Refusals

_log = logging.getLogger(__name__)

ZAP_DOMAIN = b"edged"
_ZAP_ENDPOINT, _ORDERS_ENDPOINT = "inproc://zeromq.zap.01", "inproc://edged.security.orders"
_ZAP_VERSION, _OK = b"1.0", b"200"
_DENIED = b"300"
"""For now: the client tries again when the handshake's time is over, and is in once its key is on the list. After a 400
libzmq's client would never try again."""
_RAW_KEY_BYTES = 32
_WARN_EVERY_S = 60.0
_MAX_WAITING = 1002
"""What a monitor has said and nobody has taken: its sender's high-water mark, ours, and one on the way."""


class Gate:
    """Belongs to one ZeroMQ context.

    Args:
        is_allowed: whether a public key (Z85) may connect.
        max_connections: at a time, for each socket.
        handshake_s: how long a peer may take to show its key.
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        is_allowed: Callable[[bytes], bool],
        *,
        refusals: Refusals,
        max_connections: int,
        handshake_s: float,
    ) -> None:
        self._context, self._is_allowed, self._refusals = context, is_allowed, refusals
        self._limit, self._handshake_s = max_connections, handshake_s
        self._watched: dict[zmq.Socket[bytes], Connections] = {}
        self._gone = [0, 0]  # accepted and failed at sockets that are closed
        self._warned_s = -_WARN_EVERY_S
        self._thread = threading.Thread(target=self._run, name="security", daemon=True)

    def start(self) -> None:
        """Be at the door before anything is bound."""
        self._zap: zmq.Socket[bytes] = self._context.socket(zmq.REP)
        self._orders: zmq.Socket[bytes] = self._context.socket(zmq.PULL)
        self._zap.bind(_ZAP_ENDPOINT)
        self._orders.bind(_ORDERS_ENDPOINT)
        self._thread.start()

    def stop(self) -> None:
        """End; after the sockets are closed."""
        if self._thread.is_alive():
            self._order(b"stop")
            self._thread.join()

    def watch(self, socket: zmq.Socket[Any]) -> None:
        """Follow the connections of a socket; called by the socket's thread, before it is bound."""
        if self._thread.is_alive():
            endpoint = f"inproc://edged.security.monitor-{id(socket)}"
            socket.monitor(endpoint, EVENTS)
            self._order(b"watch", endpoint.encode())

    def cut_remote(self) -> None:
        """Make every remote peer show its key again."""
        if self._thread.is_alive():
            self._order(b"cut")

    def facts(self) -> dict[str, int]:
        """Connections that are open, and all there ever were."""
        watched = list(self._watched.values())
        return {
            "open": sum(connections.open for connections in watched),
            "accepted": self._gone[0] + sum(connections.accepted for connections in watched),
        }

    def count_failures(self) -> None:
        """Bring the counter of failed handshakes up to date."""
        now_s = time.monotonic()
        failed = sum(connections.failed_handshakes(now_s) for connections in list(self._watched.values()))
        self._refusals.at_least("handshakes", self._gone[1] + failed)

    def _order(self, *parts: bytes) -> None:
        orders: zmq.Socket[bytes] = self._context.socket(zmq.PUSH)
        with orders:
            orders.connect(_ORDERS_ENDPOINT)
            orders.send_multipart(list(parts))

    def _run(self) -> None:
        try:
            while self._serve_once():
                pass
        finally:
            for socket in (self._zap, self._orders, *self._watched):
                socket.close(linger=0)

    def _serve_once(self) -> bool:
        """Whether to go on."""
        poller = zmq.Poller()
        for socket in (self._zap, self._orders, *self._watched):
            poller.register(socket, zmq.POLLIN)
        for socket, _ in poller.poll():
            if socket is self._zap:
                self._zap.send_multipart(self._judged(self._zap.recv_multipart()))
            elif socket is self._orders:
                if not self._obey(self._orders.recv_multipart()):
                    return False
            elif socket in self._watched and socket.poll(0):  # an order may have taken what it said
                self._note(socket)
        return True

    def _obey(self, order: list[bytes]) -> bool:
        if order[0] == b"watch":
            monitor: zmq.Socket[bytes] = self._context.socket(zmq.PAIR)
            monitor.setsockopt(zmq.RCVHWM, 1)  # with the sender's 1000: ZeroMQ waits for us then, and accepts no more
            monitor.connect(order[1].decode())
            self._watched[monitor] = Connections(self._limit, self._handshake_s, self._refusals)
        elif order[0] == b"cut":
            self._note_waiting()  # who was let in by the old list may have come only just now
            n_cut = sum(connections.cut_remote() for connections in self._watched.values())
            _log.info("security: %d remote connections were cut: they have to show their keys again", n_cut)
        return order[0] != b"stop"

    def _note_waiting(self) -> None:
        """Take what the monitors have said so far; no more than can have waited, however fast others come."""
        for monitor in list(self._watched):
            for _ in range(_MAX_WAITING):
                if monitor not in self._watched or not monitor.poll(0):
                    break
                self._note(monitor)

    def _note(self, monitor: zmq.Socket[bytes]) -> None:
        said = parse_monitor_message(monitor.recv_multipart())
        if said["event"] == zmq.EVENT_MONITOR_STOPPED:
            connections = self._watched.pop(monitor)
            failed = connections.accepted - connections.authenticated
            self._gone = [self._gone[0] + connections.accepted, self._gone[1] + max(0, failed)]
            monitor.close(linger=0)
            return
        self._watched[monitor].note(int(said["event"]), int(said["value"]), time.monotonic())

    def _judged(self, request: list[bytes]) -> list[bytes]:
        """The answer to an authentication request: version, request, domain, address, identity, mechanism, key."""
        number = request[1] if len(request) > 1 else b""
        is_curve = len(request) == 7 and request[0] == _ZAP_VERSION and request[5] == b"CURVE"
        key = z85.encode(request[6]) if is_curve and len(request[6]) == _RAW_KEY_BYTES else b""
        if key and request[2] == ZAP_DOMAIN and self._is_allowed(key):
            return [_ZAP_VERSION, number, _OK, b"OK", key, b""]
        self._refusals.count("keys")
        self._warn(key, request[3] if len(request) > 3 else b"")
        return [_ZAP_VERSION, number, _DENIED, b"No access", b"", b""]

    def _warn(self, key: bytes, address: bytes) -> None:
        now_s = time.monotonic()
        if now_s - self._warned_s >= _WARN_EVERY_S:  # a peer that tries again and again fills no log
            self._warned_s = now_s
            shown = address.decode("ascii", "replace")
            fix = "`edged keys add` lets a client in"
            _log.warning("security: refused the key %s from %s; %s", key.decode() or "(none)", shown, fix)
