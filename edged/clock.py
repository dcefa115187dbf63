"""From a sample index to wall-clock time; the clock itself can be replaced in tests."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol

from edged.flow import SAMPLE_RATE_HZ

NS_PER_S = 1_000_000_000
_LATE_S = 0.25
_LATE_FOR_S = 5.0


class Clock(Protocol):
    """Where the time comes from."""

    def monotonic_ns(self) -> int:
        """Never steps."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 UTC; may step when somebody sets the clock."""
        ...


class SystemClock:
    """The computer's clocks."""

    def monotonic_ns(self) -> int:
        """Never steps."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return time.time_ns()


class FakeClock:
    """A clock that goes when told; its wall clock can be set."""

    def __init__(self, wall_s: float = 1_700_000_000.0) -> None:
        self._monotonic_ns = 0
        self._offset_ns = round(wall_s * NS_PER_S)

    def advance(self, duration_s: float) -> None:
        """Let time pass."""
        self._monotonic_ns += round(duration_s * NS_PER_S)

    def step_wall(self, step_s: float) -> None:
        """Set the wall clock, as NTP or a person does."""
        self._offset_ns += round(step_s * NS_PER_S)

    def monotonic_ns(self) -> int:
        """Never steps."""
        return self._monotonic_ns

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return self._offset_ns + self._monotonic_ns


class StreamClock:
    """When a sample of a stream was heard.

    Streams that come as they are heard are tied to the monotonic clock as blocks arrive, and to the wall clock only
    when asked, so a step of the wall clock never tears a stream. Played files count from the moment they began, at
    their own pace.

    Args:
        is_live: whether samples arrive as they are heard.
    """

    def __init__(self, clock: Clock, *, is_live: bool) -> None:
        self._clock = clock
        self._is_live = is_live
        self._zero_ns: int | None = None  # monotonic time of sample 0
        self._late_since_ns: int | None = None

    def arrived(self, end_sample: int) -> None:
        """The samples before ``end_sample`` are here now.

        The least delayed block sets the clock. Later ones move it only when they stay late: a stall of the computer
        passes, the drift of a sound card's clock does not.
        """
        now_ns = self._clock.monotonic_ns()
        zero_ns = now_ns - _duration_ns(end_sample)
        if self._zero_ns is None:
            self._zero_ns = zero_ns
        if not self._is_live:
            return
        is_late = zero_ns > self._zero_ns + _LATE_S * NS_PER_S
        self._late_since_ns = (self._late_since_ns or now_ns) if is_late else None
        if zero_ns < self._zero_ns or (is_late and now_ns - (self._late_since_ns or 0) >= _LATE_FOR_S * NS_PER_S):
            self._zero_ns, self._late_since_ns = zero_ns, None

    def wall_ns(self, sample: int) -> int:
        """Wall-clock time of a sample, nanoseconds since 1970 UTC."""
        now_ns = self._clock.monotonic_ns()
        zero_ns = now_ns if self._zero_ns is None else self._zero_ns
        return self._clock.wall_ns() - now_ns + zero_ns + _duration_ns(sample)


def rfc3339(wall_ns: int) -> str:
    """UTC with milliseconds.

    >>> rfc3339(1_700_000_000_123_000_000)
    '2023-11-14T22:13:20.123Z'
    """
    moment = datetime.fromtimestamp(wall_ns // NS_PER_S, tz=timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{wall_ns // 1_000_000 % 1000:03d}Z"


def _duration_ns(n_samples: int) -> int:
    return n_samples * NS_PER_S // SAMPLE_RATE_HZ
