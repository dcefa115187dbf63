"""The connections of the daemon's sockets, followed through ZeroMQ's monitors: counted, limited, and cut.

libzmq itself limits neither how many may connect nor says which connection has shown its key. What its monitor tells is
enough: a connection that is not authenticated is gone when the handshake's time is over.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket as socket_library
from dataclasses import dataclass, field

import zmq

from edged.security.counts import Refusals

ENOUGH_FILES = 4096
"""A flood may be so far ahead of us that this is needed: at most a thousand connections to each socket."""
EVENTS = int(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED)


@dataclass
class Connections:
    """Those of one bound socket, or of the several endpoints it is bound to.

    Args:
        limit: more than so many at a time are cut at once.
        handshake_s: how long one may take to show its key.
    """

    limit: int
    handshake_s: float
    refusals: Refusals
    accepted: int = 0
    authenticated: int = 0
    _since_s: dict[int, float] = field(default_factory=dict)  # by file descriptor, oldest first

    @property
    def open(self) -> int:
        """How many there are."""
        return len(self._since_s)

    def note(self, event: int, descriptor: int, now_s: float) -> None:
        """What the monitor said."""
        if event == zmq.EVENT_ACCEPTED:
            self.accepted += 1
            self._since_s.pop(descriptor, None)
            self._since_s[descriptor] = now_s
            if self.open > self.limit and cut(descriptor):
                self.refusals.count("connections")
        elif event == zmq.EVENT_DISCONNECTED:
            self._since_s.pop(descriptor, None)
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.authenticated += 1

    def failed_handshakes(self, now_s: float) -> int:
        """Connections that came to nothing; those that may still come to something are left out."""
        young = sum(now_s - since_s <= self.handshake_s for since_s in list(self._since_s.values()))
        return max(0, self.accepted - self.authenticated - young)

    def cut_remote(self) -> int:
        """Cut every connection that had to show a key, so that it has to show it again; how many."""
        return sum(cut(descriptor) for descriptor in list(self._since_s))


def allow_files() -> None:
    """Raise this process's own limit of open files as far as it may, so that a flood takes none that we need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(ENOUGH_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def cut(descriptor: int) -> bool:
    """End a TCP connection of ZeroMQ's from outside; whether it was one.

    The descriptor stays ZeroMQ's, which notices the end and closes it. Whatever else has got this number meanwhile is
    no connected TCP socket, or another peer's, who connects again.
    """
    with contextlib.suppress(OSError), _same_socket(descriptor) as peer:
        if peer.family != socket_library.AF_UNIX:
            peer.getpeername()
            peer.shutdown(socket_library.SHUT_RDWR)
            return True
    return False


def _same_socket(descriptor: int) -> socket_library.socket:
    """A second handle of a socket.

    Raises:
        OSError: it is none.
    """
    second = os.dup(descriptor)
    try:
        return socket_library.socket(fileno=second)
    except OSError:
        os.close(second)
        raise
