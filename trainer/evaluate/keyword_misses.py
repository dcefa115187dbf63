"""Keyword spotting as its user sees it: words missed at so many false alarms per hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trainer.evaluate.spotting import Spoken, Spotted, matched


def miss_rate(
    spotted: Mapping[str, Sequence[Spotted]],
    spoken: Mapping[str, Sequence[Spoken]],
    *,
    hours: float,
    false_alarms_per_hour: float,
) -> float:
    """Share of the spoken words missed at the loosest threshold that keeps to a rate of false alarms.

    Findings of equal distance pass or fail together.

    Args:
        spotted: file -> findings, all those below a loose limit.
        spoken: file -> truth, empty for background recordings; its files are those that count.
        hours: of audio in these files.
        false_alarms_per_hour: the rate allowed, over all keywords together.

    Raises:
        ValueError: no words were spoken.
    """
    n_spoken = sum(len(truth) for truth in spoken.values())
    if n_spoken == 0:
        raise ValueError("no words were spoken, so none can be missed")
    distances = np.array([s.distance for name in spoken for s in spotted.get(name, ())])
    is_hit = np.array([hit for name, truth in spoken.items() for hit in matched(spotted.get(name, ()), truth)], bool)
    order = np.argsort(distances)
    passes_alone = np.diff(distances[order], append=np.inf) > 0.0  # the last of those that tie
    n_hits, n_alarms = np.cumsum(is_hit[order]), np.cumsum(~is_hit[order])
    allowed = passes_alone & (n_alarms <= hours * false_alarms_per_hour)
    return 1.0 - int(n_hits[allowed].max(initial=0)) / n_spoken
