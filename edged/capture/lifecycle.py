"""The life of a capture child as an explicit state machine; it holds no process, clock or thread.

starting --first frame--> running --failure--> waiting --delay over--> starting
    |                        |
    +--device not there----> absent --delay over--> starting
    +------failure---------> waiting        running --end of file--> ended
    +--permanent failure---> failed         any     --stop---------> stopped

A device that appears late is absent, then running. One that vanishes is waiting (its child says why), absent, and
running when it is back, under whatever number and at whatever rate it then has.
"""

from __future__ import annotations

import random
from enum import Enum

from edged.config import CaptureSettings


class CaptureState(str, Enum):
    """Where a device stands."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    ABSENT = "absent"
    ENDED = "ended"
    FAILED = "failed"
    STOPPED = "stopped"


BETWEEN_CHILDREN = frozenset({CaptureState.WAITING, CaptureState.ABSENT})
FINAL_STATES = frozenset({CaptureState.ENDED, CaptureState.FAILED, CaptureState.STOPPED})


class Lifecycle:
    """State and back-off of one device's child. Times are monotonic seconds given by the caller.

    Args:
        settings: the durations.
        rng: source of the jitter.
    """

    def __init__(self, settings: CaptureSettings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self.state = CaptureState.STARTING
        self.failures_in_row = 0
        self._running_since_s = 0.0

    def first_frame(self, now_s: float) -> None:
        """The child works."""
        self.state = CaptureState.RUNNING
        self._running_since_s = now_s

    def failed(self, now_s: float, *, permanent: bool = False, absent: bool = False) -> float:
        """The child is gone; returns how long to wait before the next one, in seconds."""
        if permanent:
            self.state = CaptureState.FAILED
            return 0.0
        ran_s = now_s - self._running_since_s
        if self.state is CaptureState.RUNNING and ran_s >= self._settings.stable_after_s:
            self.failures_in_row = 0
        self.state = CaptureState.ABSENT if absent else CaptureState.WAITING
        doublings = min(self.failures_in_row, 30)
        self.failures_in_row += 1
        delay_s = min(self._settings.restart_max_s, self._settings.restart_initial_s * 2.0**doublings)
        return delay_s * (1.0 + self._settings.restart_jitter * self._rng.uniform(-1.0, 1.0))

    def restart(self) -> None:
        """The wait is over."""
        self.state = CaptureState.STARTING

    def ended(self) -> None:
        """The source came to its end."""
        self.state = CaptureState.ENDED

    def stopped(self) -> None:
        """Somebody asked us to stop."""
        if self.state not in FINAL_STATES:
            self.state = CaptureState.STOPPED
