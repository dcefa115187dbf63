"""Log set-up: one line per message on standard error, and no message can flood it."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable

BURST = 20
WINDOW_S = 60.0
_MAX_KINDS = 500


class RateLimit(logging.Filter):
    """Lets ``BURST`` messages of one kind (logger and template) through per window; says how many were held back."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record passes."""
        kind, now_s = (record.name, str(record.msg)), self._now_s()
        started_s, count = self._windows.get(kind, (now_s, 0))
        if now_s - started_s >= WINDOW_S:
            if count > BURST:
                record.msg = f"{record.msg} ({count - BURST} more like this were held back)"
            started_s, count = now_s, 0
        if len(self._windows) >= _MAX_KINDS:
            self._windows.clear()
        self._windows[kind] = (started_s, count + 1)
        return count < BURST


def set_up_logging(level: str = "INFO") -> None:
    """Log to standard error; under systemd without the time, which the journal adds."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RateLimit())
    time_field = "" if os.environ.get("JOURNAL_STREAM") else "%(asctime)s "
    formatter = logging.Formatter(f"{time_field}%(levelname)s %(name)s: %(message)s")
    formatter.default_time_format, formatter.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"
    formatter.converter = time.gmtime  # as events and references tell it
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
