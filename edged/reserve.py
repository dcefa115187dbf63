"""A little room put by on the state's disk: a daemon that starts on a full one needs some to open its own database.

<state>/edged.reserve    1 MiB, given up for that, and put by again once there is room
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

RESERVE_NAME = "edged.reserve"
RESERVE_BYTES = 1 << 20


def put_by(state_dir: Path) -> bool:
    """Make the reserve if it is not there; whether it is now."""
    path = state_dir / RESERVE_NAME
    if path.exists():
        return True
    unfinished = path.with_name(f".{RESERVE_NAME}.part")
    try:
        with unfinished.open("wb") as handle:
            os.posix_fallocate(handle.fileno(), 0, RESERVE_BYTES)
        unfinished.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        return False
    return True


def give_up(state_dir: Path) -> bool:
    """Use the reserve; whether there was any."""
    try:
        (state_dir / RESERVE_NAME).unlink()
    except OSError:
        return False
    return True
