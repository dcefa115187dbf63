"""What the daemon's sockets are bound by: refuses what is open to others, gives CURVE, and knows who may do what."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import zmq

from edged.config import SecuritySettings
from edged.errors import ConfigError
from edged.security.allowlist import LISTENER_VERBS, Client, Right, read_allow_list
from edged.security.connections import allow_files
from edged.security.counts import Refusals
from edged.security.endpoints import bind_endpoint, is_local, is_private
from edged.security.gate import ZAP_DOMAIN, Gate
from edged.security.keys import KeyPair, read_pair

HANDSHAKE_MS = 5000
BACKLOG = 128
HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS = 15_000, 45_000
"""A peer that vanished without a word is let go of after this."""
MAX_SUBSCRIPTION_BYTES = 4096
"""Largest message to a socket that takes nothing but subscriptions and handshakes."""


class SocketGuard:
    """Checks where sockets are bound, gives them CURVE where it is configured, and answers who may do what.

    Raises:
        ConfigError: the keys are incomplete, missing, or readable by others.
    """

    def __init__(self, context: zmq.Context[Any], settings: SecuritySettings) -> None:
        self.context = context
        self.refusals = Refusals()
        self._pair: KeyPair | None = None
        self._clients: Mapping[bytes, Client] = MappingProxyType({})
        self._gate = Gate(
            context, lambda key: key in self._clients,
            refusals=self.refusals, max_connections=settings.max_connections, handshake_s=HANDSHAKE_MS / 1000,
        )  # fmt: skip
        self._directory = settings.allowed_clients
        if settings.server_secret_key is None and settings.allowed_clients is None:
            return
        if settings.server_secret_key is None or settings.allowed_clients is None:
            raise ConfigError("security: server_secret_key and allowed_clients belong together", fix="give both")
        self._pair = read_pair(settings.server_secret_key)
        self._clients = read_allow_list(settings.allowed_clients)

    def start(self) -> None:
        """Begin to check peers against the allow-list, and to count them."""
        allow_files()
        self._gate.start()

    def stop(self) -> None:
        """Stop checking; after the sockets are closed."""
        self._gate.stop()

    def bind(self, socket: zmq.Socket[Any], endpoint: str, *, remote: str | None = None) -> None:
        """Bind a socket of the daemon.

        Args:
            remote: a second endpoint, for other computers.

        Raises:
            ConfigError: others could reach it without keys, or it cannot be bound.
        """
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.BACKLOG, BACKLOG)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
        if int(socket.getsockopt(zmq.MAXMSGSIZE)) < 0:
            socket.setsockopt(zmq.MAXMSGSIZE, MAX_SUBSCRIPTION_BYTES)
        self._gate.watch(socket)
        for one in (endpoint, remote):
            if one is not None:
                self._bind(socket, one)

    def refuse_open(self, endpoint: str) -> None:
        """Refuse what others could reach without keys.

        Raises:
            ConfigError: they could.
        """
        if self._pair is None and not is_local(endpoint):
            raise ConfigError(
                f"{endpoint}: other computers could reach it without keys",
                fix="`edged keys init` makes them; or bind to 127.0.0.1 or ipc://",
            )

    def _bind(self, socket: zmq.Socket[Any], endpoint: str) -> None:
        self.refuse_open(endpoint)
        needs_keys = self._pair is not None and not is_private(endpoint)
        if self._pair is not None and needs_keys:
            socket.curve_publickey, socket.curve_secretkey = self._pair.public, self._pair.secret
            socket.zap_domain = ZAP_DOMAIN
            socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without anybody at the door nobody is let in
        socket.curve_server = needs_keys  # options hold for what is bound from now on
        bind_endpoint(socket, endpoint)

    def right_of(self, user: bytes | None) -> Right | None:
        """What a peer may do now; None = nothing.

        Args:
            user: its public key; None where no key was asked for, as file permissions let it in.
        """
        if user is None:
            return "control"
        client = self._clients.get(user)
        return client.right if client else None

    def may_ask(self, user: bytes | None, verb: str) -> bool:
        """Whether a peer may ask for a verb of the control socket."""
        right = self.right_of(user)
        return right == "control" or (right == "listen" and verb in LISTENER_VERBS)

    def reload(self) -> list[str]:
        """Read the allow-list again; who was removed or may do less is cut off at once. Names of what changed.

        Raises:
            ConfigError: the list cannot be used; the old one stays.
        """
        if self._pair is None or self._directory is None:
            return []
        old, new = self._clients, read_allow_list(self._directory)
        self._clients = new
        changed = {key for key in old.keys() | new.keys() if _right(old, key) != _right(new, key)}
        if any(key in old for key in changed):
            self._gate.cut_remote()
        return sorted(f"key {(new.get(key) or old[key]).name}" for key in changed)

    def facts(self) -> dict[str, Any]:
        """For `edged status`."""
        return {"keys": self._pair is not None, "clients": len(self._clients), **self._gate.facts(),
                "refused": self.refused()}  # fmt: skip

    def refused(self) -> dict[str, int]:
        """What was refused so far, by kind."""
        self._gate.count_failures()
        return self.refusals.facts()


def user_of(frame: zmq.Frame) -> bytes | None:
    """The public key that was shown for the connection that a frame came by; None where none was asked for."""
    try:
        return str(frame.get("User-Id")).encode()
    except zmq.ZMQError:
        return None


def _right(clients: Mapping[bytes, Client], key: bytes) -> Right | None:
    return clients[key].right if key in clients else None
