"""Real-time priority for a capture child, where the system permits it (``LimitRTPRIO`` of the unit, or root)."""

from __future__ import annotations

import os
import resource

RUNAWAY_US = 500_000
"""A child that computes for this long without ever waiting is stuck: the kernel ends it, and another is started."""


def ask_for_realtime(priority: int) -> bool:
    """Run this thread, and those it starts, before all that is not real-time; whether the system lets us.

    Args:
        priority: 1 (lowest) to 99; 0 asks for nothing.
    """
    if priority <= 0:
        return False
    try:
        # Round robin: children of one priority share the processor even if one of them never waits.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
        resource.setrlimit(resource.RLIMIT_RTTIME, (RUNAWAY_US, 2 * RUNAWAY_US))
    except (OSError, ValueError):  # a container, or a user without the right: capture works all the same
        return False
    return True
