"""Where sockets are bound: what only this computer can reach, and binding without taking over another daemon's."""

from __future__ import annotations

import re
import socket as socket_library
from pathlib import Path
from typing import Any

import zmq

from edged.config import is_loopback
from edged.errors import ConfigError

MAX_IPC_PATH_BYTES = 107
_PROBE_TIMEOUT_S = 1.0
_LOOPBACK_OF = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - not bound here
_IPC_MODE = 0o660  # the daemon's user and group


def is_local(endpoint: str) -> bool:
    """Whether only this computer can reach an endpoint.

    >>> [is_local(e) for e in ("ipc:///run/x", "tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://*:1", "tcp://10.0.0.1:1")]
    [True, True, True, False, False]
    """
    if is_private(endpoint):
        return True
    found = re.fullmatch(r"tcp://\[?(?P<host>[^\]]*?)\]?:[^:]+", endpoint)
    return found is not None and is_loopback(found["host"])


def is_private(endpoint: str) -> bool:
    """Whether the permissions of a file say who may connect, so that no keys are asked for.

    >>> [is_private(e) for e in ("ipc:///run/x", "inproc://x", "tcp://127.0.0.1:1")]
    [True, True, False]
    """
    return endpoint.startswith(("ipc://", "inproc://"))


def connectable(endpoint: str) -> str:
    """Where a client on this computer reaches what a daemon binds.

    >>> [connectable(e) for e in ("tcp://*:1", "tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://10.0.0.1:1", "ipc:///run/x")]
    ['tcp://127.0.0.1:1', 'tcp://127.0.0.1:1', 'tcp://[::1]:1', 'tcp://10.0.0.1:1', 'ipc:///run/x']
    """
    for everywhere, here in _LOOPBACK_OF.items():
        if endpoint.startswith(f"tcp://{everywhere}:"):
            return endpoint.replace(everywhere, here, 1)
    return endpoint


def bind_endpoint(socket: zmq.Socket[Any], endpoint: str) -> str:
    """Bind a socket; where it is bound, with the port that was found for `*`.

    Raises:
        ConfigError: another daemon is there, or it cannot be bound.
    """
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
    return str(socket.getsockopt_string(zmq.LAST_ENDPOINT))


def _is_served(path: str) -> bool:
    """Whether somebody listens at a Unix socket; a file that a killed daemon left does not count."""
    with socket_library.socket(socket_library.AF_UNIX) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
