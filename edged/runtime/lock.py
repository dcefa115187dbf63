"""One state directory, one daemon."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edged.errors import StateError

_LOCK_NAME = "edged.lock"


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
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StateError(f"{state_dir}: another daemon uses it", fix="stop it, or use another --state") from error
        yield


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
