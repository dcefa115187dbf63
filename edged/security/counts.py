"""What was refused, counted: for `edged status`, heartbeats and metrics."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Literal, get_args

Refusal = Literal["handshakes", "keys", "connections", "requests_malformed", "requests_too_large", "requests_forbidden"]
"""Handshakes that came to nothing (those of unknown keys among them), keys that are not on the list, connections beyond
the limit; requests that are none, too large, or of a client that may only listen."""


class Refusals:
    """Counters; any thread may count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, what: Refusal, n: int = 1) -> None:
        """Something was refused."""
        with self._lock:
            self._counts[what] += n

    def at_least(self, what: Refusal, n: int) -> None:
        """So many were refused by now; a smaller number than before changes nothing."""
        with self._lock:
            self._counts[what] = max(self._counts[what], n)

    def facts(self) -> dict[str, int]:
        """All counters, those at 0 too."""
        with self._lock:
            return {what: self._counts[what] for what in get_args(Refusal)}
