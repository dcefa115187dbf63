"""What can go wrong, as one small tree; each class says what the operator does about it.

Every error carries the sentence that explains it and, where there is one, the fix. The command line prints both and
exits with :attr:`EdgedError.exit_code`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class EdgedError(Exception):
    """Something edged refuses or cannot do.

    Args:
        message: what happened, naming the key, file or device.
        fix: what to do about it (one sentence), or empty.

    >>> print(AudioError("empty.wav: holds no samples", fix="record it again"))
    empty.wav: holds no samples; record it again
    """

    exit_code = 1

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}; {self.fix}" if self.fix else self.message


class UsageError(EdgedError):
    """A command was called with words that do not fit together: call it again as its help says."""

    exit_code = 2


class ConfigError(EdgedError):
    """The configuration cannot be used: correct the named keys (all are listed at once)."""

    exit_code = 78


class AudioError(EdgedError):
    """An audio file cannot be used: replace or convert it."""


class DeviceError(EdgedError):
    """An audio device is absent or refuses: plug it in, or name one that `edged devices` lists."""


class BundleError(EdgedError):
    """A bundle is damaged or does not fit: copy or export it again; nothing of it was used."""


class AcceleratorError(EdgedError):
    """A GPU, its software or an engine made for it cannot be used: edged goes on without, on the CPU."""


class EnrolmentError(EdgedError):
    """Clips were refused; the bank is unchanged.

    Args:
        report: everything the gate found, JSON-serialisable; empty where it did not get that far.
    """

    def __init__(self, message: str, *, fix: str = "", report: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, fix=fix)
        self.report = dict(report or {})


class StateError(EdgedError):
    """The state database cannot be read or written: see the named file, its space and permissions."""


class DamagedError(StateError):
    """The state database is damaged: the daemon, when it starts, moves it aside and keeps all that can be read."""


class ControlError(EdgedError):
    """A running daemon did not answer or refused a request."""
