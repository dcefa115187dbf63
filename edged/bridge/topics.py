"""Names at the broker. Whatever a stream or a word is called, it is one level of a topic and holds no wildcard.

edged/<device>/bridge                       online | offline (birth and last will)
edged/<device>/daemon                       online | offline
edged/<device>/anomaly/<stream>             events, as published
edged/<device>/anomaly/<stream>/state       ON | OFF
edged/<device>/keyword/<stream>/<word>      events, as published
edged/<device>/status/<stream>              events, as published
edged/<device>/score/<stream>               the score now and then
"""

from __future__ import annotations

import hashlib
import re
import socket
from dataclasses import dataclass

_MAX_LEVEL_BYTES = 200


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message.

    Attributes:
        qos: 1 = the broker must acknowledge it; 0 = it may be lost.
        retain: the broker gives it to whoever subscribes later.
    """

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one device.

    Args:
        prefix: what all of them begin with.
        device: name of the device.
    """

    prefix: str
    device: str

    @property
    def bridge(self) -> str:
        """Whether the bridge is connected."""
        return self._of("bridge")

    @property
    def daemon(self) -> str:
        """Whether the daemon lives."""
        return self._of("daemon")

    def anomaly(self, stream: str) -> str:
        """Anomaly events of a stream."""
        return self._of("anomaly", stream)

    def anomaly_state(self, stream: str) -> str:
        """Whether an alarm lasts."""
        return self._of("anomaly", stream, "state")

    def keyword(self, stream: str, word: str) -> str:
        """Events of one word."""
        return self._of("keyword", stream, word)

    def status(self, stream: str) -> str:
        """Status events of a stream, or of ``edged``."""
        return self._of("status", stream)

    def score(self, stream: str) -> str:
        """Scores of a stream."""
        return self._of("score", stream)

    def _of(self, *levels: str) -> str:
        return "/".join([self.prefix, level(self.device), *map(level, levels)])


def level(name: str) -> str:
    """A name as one level of a topic; different names stay different.

    >>> level("press-3"), level("stop/now"), level("+#"), level("größe")
    ('press-3', 'stop%2Fnow', '%2B%23', 'gr%C3%B6%C3%9Fe')
    """
    encoded = "".join(
        chr(byte) if chr(byte) in _PLAIN else f"%{byte:02X}" for byte in name.encode("utf-8", "backslashreplace")
    )
    if 0 < len(encoded) <= _MAX_LEVEL_BYTES:
        return encoded
    return encoded[: _MAX_LEVEL_BYTES - 20] + "%" + _digest(name)


def identifier(name: str) -> str:
    """A name as Home Assistant takes it in identifiers: letters, digits, - and _; different names stay different.

    >>> identifier("press-3"), identifier("stop now")
    ('press-3', 'stop_now_132e678d')
    """
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:60]
    return plain if plain == name and name else f"{plain}_{_digest(name)[:8]}"


def device_name(configured: str | None) -> str:
    """What this device is called at the broker."""
    return configured or identifier(socket.gethostname().split(".")[0] or "edged")


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:16]
