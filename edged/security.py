"""Who may connect: sockets other computers can reach need CURVE and an allow-list; without them they are refused."""

from __future__ import annotations

import ipaddress
import re
import socket as socket_library
import stat
from pathlib import Path
from typing import Any

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from edged.config import SecuritySettings
from edged.errors import ConfigError

ZAP_DOMAIN = b"edged"
HANDSHAKE_MS = 5000
MAX_IPC_PATH_BYTES = 107
_PROBE_TIMEOUT_S = 1.0
_LOOPBACK_OF = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - not bound here
_IPC_MODE = 0o660  # the daemon's user and group
_OTHERS_MAY_READ = stat.S_IRWXG | stat.S_IRWXO


def is_local(endpoint: str) -> bool:
    """Whether only this computer can reach an endpoint.

    >>> [is_local(e) for e in ("ipc:///run/x", "tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://*:1", "tcp://10.0.0.1:1")]
    [True, True, True, False, False]
    """
    if endpoint.startswith(("ipc://", "inproc://")):
        return True
    found = re.fullmatch(r"tcp://\[?(?P<host>[^\]]*?)\]?:[^:]+", endpoint)
    if found is None:
        return False
    if found["host"] == "localhost":
        return True
    try:
        return ipaddress.ip_address(found["host"]).is_loopback
    except ValueError:
        return False


def connectable(endpoint: str) -> str:
    """Where a client on this computer reaches what a daemon binds.

    >>> [connectable(e) for e in ("tcp://*:1", "tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://10.0.0.1:1", "ipc:///run/x")]
    ['tcp://127.0.0.1:1', 'tcp://127.0.0.1:1', 'tcp://[::1]:1', 'tcp://10.0.0.1:1', 'ipc:///run/x']
    """
    for everywhere, here in _LOOPBACK_OF.items():
        if endpoint.startswith(f"tcp://{everywhere}:"):
            return endpoint.replace(everywhere, here, 1)
    return endpoint


class SocketGuard:
    """Checks where sockets are bound, and gives them CURVE where it is configured.

    Raises:
        ConfigError: the keys are incomplete, missing, or readable by others.
    """

    def __init__(self, context: zmq.Context[Any], settings: SecuritySettings) -> None:
        self.context = context
        self._keys: tuple[bytes, bytes] | None = None
        self._authenticator: ThreadAuthenticator | None = None
        if settings.server_secret_key is None and settings.allowed_clients is None:
            return
        if settings.server_secret_key is None or settings.allowed_clients is None:
            raise ConfigError("security: server_secret_key and allowed_clients belong together", fix="give both")
        self._keys = _load_secret(settings.server_secret_key)
        self._allowed = settings.allowed_clients
        if not self._allowed.is_dir():
            raise ConfigError(f"security.allowed_clients: {self._allowed} is no directory")

    def start(self) -> None:
        """Begin to check peers against the allow-list."""
        if self._keys is not None:
            self._authenticator = ThreadAuthenticator(self.context)
            self._authenticator.start()
            self._authenticator.configure_curve(domain=ZAP_DOMAIN.decode(), location=str(self._allowed))

    def stop(self) -> None:
        """Stop the checker; after the sockets are closed."""
        if self._authenticator is not None:
            self._authenticator.stop()

    def bind(self, socket: zmq.Socket[Any], endpoint: str) -> None:
        """Bind a socket of the daemon.

        Raises:
            ConfigError: others could reach it without keys, or it cannot be bound.
        """
        if self._keys is None and not is_local(endpoint):
            raise ConfigError(
                f"{endpoint}: other computers could reach it without keys",
                fix="set security.server_secret_key and security.allowed_clients, or bind to 127.0.0.1 or ipc://",
            )
        if self._keys is not None:
            socket.curve_publickey, socket.curve_secretkey = self._keys
            socket.curve_server = True
            socket.zap_domain = ZAP_DOMAIN
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        _bind(socket, endpoint)


def _bind(socket: zmq.Socket[Any], endpoint: str) -> None:
    path = endpoint.removeprefix("ipc://")
    is_file = path != endpoint
    if is_file and len(path.encode()) > MAX_IPC_PATH_BYTES:
        raise ConfigError(f"{endpoint}: longer than a socket's path may be", fix="set runtime_dir to a shorter path")
    if is_file and _is_served(path):  # ZeroMQ would take the path over and leave the other daemon deaf and mute
        raise ConfigError(f"{endpoint}: another daemon answers there", fix="stop it, or set another runtime_dir")
    try:
        socket.bind(endpoint)
        if is_file:
            Path(path).chmod(_IPC_MODE)
    except (zmq.ZMQError, OSError) as error:
        fix = "check the address, and whether another daemon runs"
        raise ConfigError(f"{endpoint}: cannot be bound ({error.strerror})", fix=fix) from error


def _is_served(path: str) -> bool:
    """Whether somebody listens at a Unix socket; a file that a killed daemon left does not count."""
    with socket_library.socket(socket_library.AF_UNIX) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _load_secret(path: Path) -> tuple[bytes, bytes]:
    """Public and secret key of a certificate file that nobody else may read."""
    if not path.is_file():
        raise ConfigError(f"security.server_secret_key: {path} is not there")
    if path.stat().st_mode & _OTHERS_MAY_READ:
        raise ConfigError(f"{path}: others may read this secret key", fix=f"chmod 600 {path}")
    try:
        public, secret = zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a key file ({error})") from error
    if secret is None:
        raise ConfigError(f"{path}: holds no secret key", fix="name the file that ends in .key_secret")
    return public, secret
