"""Near and far: what the microphone at a machine and the one in the hall hear at once is not the machine's.

    near score - min(share x far excess, near excess)          excess = score beyond what is typical, never below 0

Both scores count in spreads of their own normal sound, so they can be set against each other as they are. A hall that
is as it always was takes nothing away; a noise in it takes away at most what the near stream has too much, so that a
discounted score is that of normal sound and never less.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

REMEMBERED_SEGMENTS = 256


@dataclass(frozen=True, slots=True)
class _Heard:
    epoch: int
    sample_start: int
    sample_end: int
    excess: float


class Excesses:
    """What a stream heard beyond its normal, segment by segment, for those that discount it; of bounded memory."""

    def __init__(self) -> None:
        self._heard: deque[_Heard] = deque(maxlen=REMEMBERED_SEGMENTS)

    def add(self, anomaly_score: float, typical_score: float, sample_start: int, sample_end: int, epoch: int) -> None:
        """Take the score of the next segment that was judged."""
        self._heard.append(_Heard(epoch, sample_start, sample_end, max(anomaly_score - typical_score, 0.0)))

    def at(self, sample_start: int, sample_end: int, epoch: int) -> float | None:
        """The excess in the latest segment that ended by then and shares at least half of this one; None without one.

        The grids of two streams differ after a gap in one of them. What ends later is never used, even if it is known
        already: then the answer does not depend on how much of the signal came at once.
        """
        for heard in reversed(self._heard):
            if heard.epoch == epoch and heard.sample_end <= sample_end:
                shared = heard.sample_end - max(heard.sample_start, sample_start)
                return heard.excess if 2 * shared >= sample_end - sample_start else None
        return None


def discount(near_score: float, typical_score: float, far_excess: float | None, share: float) -> float:
    """By how much a near score is to be lowered.

    Args:
        typical_score: what normal sound scores near the machine.
        far_excess: of the reference stream at the same time; None = not known, nothing is discounted.
        share: of the far excess that counts.

    >>> discount(9.0, 0.0, 4.0, 0.5), discount(9.0, 0.0, 40.0, 0.5), discount(9.0, 0.0, None, 0.5)
    (2.0, 9.0, 0.0)
    """
    if far_excess is None:
        return 0.0
    return max(min(share * far_excess, near_score - typical_score), 0.0)
