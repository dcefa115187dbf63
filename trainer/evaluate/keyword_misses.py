"""Keyword spotting as its user sees it: words missed at so many false alarms per hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trainer.evaluate.spotting import ONSET_COLLAR_S, Spoken, Spotted, matched


def miss_rate(
    spotted: Mapping[str, Sequence[Spotted]],
    spoken: Mapping[str, Sequence[Spoken]],
    *,
    hours: float,
    false_alarms_per_hour: float,
) -> float:
    """Share of the spoken words missed at the loosest threshold that keeps to a rate of false alarms.

    Findings of equal distance pass or fail together. One that lies on a spoken occurrence of its own word but begins
    elsewhere finds nothing, and is no false alarm either: the word was spoken.

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
    is_on_word = np.array([_lies_on(s, truth) for n, truth in spoken.items() for s in spotted.get(n, ())], bool)
    order = np.argsort(distances)
    passes_alone = np.diff(distances[order], append=np.inf) > 0.0  # the last of those that tie
    n_hits, n_alarms = np.cumsum(is_hit[order]), np.cumsum(~(is_hit | is_on_word)[order])
    allowed = passes_alone & (n_alarms <= hours * false_alarms_per_hour)
    return 1.0 - int(n_hits[allowed].max(initial=0)) / n_spoken


def _lies_on(finding: Spotted, truth: Sequence[Spoken]) -> bool:
    return any(
        said.word == finding.word
        and min(said.offset_s, finding.offset_s) > max(said.onset_s, finding.onset_s)
        and abs(said.onset_s - finding.onset_s) > ONSET_COLLAR_S
        for said in truth
    )
