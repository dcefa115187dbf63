"""One state directory, one daemon."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from edged.errors import StateError

_LOCK_NAME = "edged.lock"
_WITHIN_S, _RETRY_S = 0.5, 0.05
"""Who only looks whether a daemon runs holds the lock for an instant."""


@contextmanager
def only_daemon(state_dir: Path) -> Iterator[None]:
    """Hold the state directory's lock.

    Raises:
        StateError: another daemon holds it, or it cannot be made.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = (state_dir / _LOCK_NAME).open("w")
    except OSError as error:
        raise StateError(f"{state_dir}: {error.strerror}", fix="check owner and permissions, or use --state") from error
    with lock:
        deadline_s = time.monotonic() + _WITHIN_S
        while not _is_taken(lock):
            if time.monotonic() > deadline_s:
                raise StateError(f"{state_dir}: another daemon uses it", fix="stop it, or use another --state")
            time.sleep(_RETRY_S)
        yield


def _is_taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def daemon_holds(state_dir: Path) -> bool:
    """Whether a daemon runs on a state directory, be it that it answers or not."""
    try:
        with (state_dir / _LOCK_NAME).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock, or none that we may read
        return False
    return False
