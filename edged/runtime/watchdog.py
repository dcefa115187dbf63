"""Feeds systemd's watchdog with scored samples."""

from __future__ import annotations

from edged.observe.notify import WATCHDOG, notify, watchdog_interval_s
from edged.runtime.worker import Worker


class Watchdog:
    """Tells systemd that we live as long as the worker gets on, or has nothing to do.

    Args:
        worker: None where there is none: then as long as `tick` is called.
    """

    def __init__(self, worker: Worker | None) -> None:
        self._worker = worker
        self._interval_s = watchdog_interval_s()
        self._next_s = 0.0
        self._steps = -1

    def tick(self, now_s: float) -> None:
        """Called often."""
        if self._interval_s is None or now_s < self._next_s:
            return
        if self._worker is None or self._worker.steps != self._steps or not self._worker.has_work:
            notify(WATCHDOG)
            self._steps = self._worker.steps if self._worker else 0
            self._next_s = now_s + self._interval_s
