"""Real-time priority for a capture child, where the system permits it (``LimitRTPRIO`` of the unit, or root).

A thread of the sound system that computes without ever waiting would take a processor from everything else. The
kernel tells (SIGXCPU); the child then gives its priority back and goes on listening: ending it would lose sound.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from pathlib import Path
from typing import Any

RUNAWAY_US = 500_000
"""A thread that computes for this long without ever waiting has no right to go before all others."""

_THREADS = Path("/proc/self/task")


class RealtimePriority:
    """Real-time priority of all threads of this process. For the main thread: it handles a signal.

    Attributes:
        is_held: whether the threads have it now.
    """

    def __init__(self) -> None:
        self.is_held = False

    def ask(self, priority: int) -> None:
        """Run this process's threads, and those they start, before all that is not real-time, if the system lets us.

        Args:
            priority: 1 (lowest) to 99; 0 asks for nothing.
        """
        if priority <= 0:
            return
        signal.signal(signal.SIGXCPU, self._give_back)
        try:
            _, hard_us = resource.getrlimit(resource.RLIMIT_RTTIME)
            resource.setrlimit(resource.RLIMIT_RTTIME, (RUNAWAY_US, hard_us))
            # Round robin: children of one priority share the processor even if one of them never waits.
            _schedule(os.SCHED_RR, priority)
        except (OSError, ValueError):  # a container, or a user without the right: capture works all the same
            self._give_back()
        else:
            self.is_held = True

    def _give_back(self, *_: Any) -> None:
        with contextlib.suppress(OSError):  # where the very call is forbidden, there is nothing to give back
            _schedule(os.SCHED_OTHER, 0)
        self.is_held = False


def _schedule(policy: int, priority: int) -> None:
    for thread in _THREADS.iterdir():
        try:
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(priority))
        except ProcessLookupError:  # it has just ended
            continue
