"""How long to wait before the broker is tried again."""

from __future__ import annotations

import random

FIRST_S, MOST_S, JITTER = 1.0, 120.0, 0.5


class Backoff:
    """Doubles up to a cap; a thousand bridges do not come back in the same second.

    Args:
        rng: source of the jitter.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()  # noqa: S311 - no secret
        self._fails = 0

    def worked(self) -> None:
        """The broker took something: the next failure counts as the first."""
        self._fails = 0

    def next_s(self) -> float:
        """The next pause."""
        pause_s = min(MOST_S, FIRST_S * 2.0 ** min(self._fails, 16))
        self._fails += 1
        return pause_s * (1.0 - JITTER * self._rng.random())
