"""Sustained drift: the scores of a stream that is not in alarm have moved away from what they were at enrolment.

    segments, not in alarm -> median of every 10 min -> median of the last hours -> above `onset_spreads`: drift
                                                                                 -> below half of it: gone

A sudden fault raises an alarm within seconds, and nothing that happens during an alarm counts here; what creeps up
below the threshold (wear, a season, a microphone that gathers dust) never raises one, but moves the median of hours.
Medians of medians need half of the window to agree, so passing events and single loud blocks are nothing to them.

Pure, and of constant memory: one block of scores and one number per block of the window. Blocks are counted in segments
heard, so gaps and alarms only make it slower.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edged.decide.normal import NormalScores

BLOCK_S = 600.0
RELEASE_SHARE = 0.5

DriftState = Literal["set in", "gone"]


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """What counts as drift.

    Attributes:
        block_segments: segments whose median is one observation.
        window_blocks: observations whose median is judged.
        onset_spreads: drift sets in when it lies that many spreads above normal; gone at `RELEASE_SHARE` of it.
    """

    block_segments: int
    window_blocks: int
    onset_spreads: float

    @classmethod
    def of_hours(cls, window_h: float, onset_spreads: float, hop_s: float) -> DriftSettings:
        """Settings for a window in hours; short windows get shorter blocks, at least four of them.

        >>> DriftSettings.of_hours(6.0, 2.0, 2.56)
        DriftSettings(block_segments=234, window_blocks=36, onset_spreads=2.0)
        """
        window_s = window_h * 3600.0
        window_blocks = max(4, round(window_s / BLOCK_S))
        return cls(max(1, round(window_s / window_blocks / hop_s)), window_blocks, onset_spreads)


@dataclass(frozen=True, slots=True)
class DriftChange:
    """Drift set in, or is gone.

    Attributes:
        since_sample: where it began: the start of the unbroken run of blocks above the release level.
        until_sample: end of the last such block; None while it lasts.
        drifted_score: median score of the window; `level` is the score at which drift sets in.
        spreads: how many spreads `drifted_score` lies above normal.
    """

    state: DriftState
    since_sample: int
    until_sample: int | None
    drifted_score: float
    level: float
    spreads: float


class Drift:
    """State of one monitor.

    Args:
        settings: what counts as drift.
        normal: what the enrolled sound scores.
    """

    def __init__(self, settings: DriftSettings, normal: NormalScores) -> None:
        self.settings = settings
        self.normal = normal
        self.is_drifting = False
        self._since_sample = self._until_sample = 0
        self._forget()

    def push(self, anomaly_score: float, sample_start: int, sample_end: int) -> list[DriftChange]:
        """Take the score of the next segment that was judged and is not in alarm."""
        if not np.isfinite(anomaly_score):
            return []
        if not self._block:
            self._block_start = sample_start
        self._block.append(anomaly_score)
        if len(self._block) < self.settings.block_segments:
            return []
        median = float(np.median(self._block))
        self._block.clear()
        return self._end_block(median, self._block_start, sample_end)

    def use_normal(self, normal: NormalScores) -> list[DriftChange]:
        """References changed: what was seen in units of the old ones is forgotten, and a drift from them is over."""
        if normal == self.normal:
            return []
        changes = self.end()
        self.normal = normal
        return changes

    def end(self) -> list[DriftChange]:
        """Forget what was seen; a drift that lasts is over."""
        spreads = self._spreads()
        self._forget()
        return [self._change("gone", spreads)] if self.is_drifting else []

    def _forget(self) -> None:
        self._block: list[float] = []
        self._block_start = 0
        self._window: deque[float] = deque(maxlen=self.settings.window_blocks)  # in spreads above normal
        self._run_start: int | None = None
        self._n_below = 0

    def _end_block(self, median: float, start: int, end: int) -> list[DriftChange]:
        spreads = (median - self.normal.typical) / self.normal.spread
        self._window.append(spreads)
        self._follow_run(spreads, start, end)
        if len(self._window) < self.settings.window_blocks:
            return []
        now, onset = self._spreads(), self.settings.onset_spreads
        if not self.is_drifting and now > onset:
            self._since_sample = start if self._run_start is None else self._run_start
            return [self._change("set in", now)]
        if self.is_drifting and now <= RELEASE_SHARE * onset:
            return [self._change("gone", now)]
        return []

    def _follow_run(self, spreads: float, start: int, end: int) -> None:
        """Where the run of blocks above the release level began; one block below does not end it, two do."""
        if spreads > RELEASE_SHARE * self.settings.onset_spreads:
            self._run_start = start if self._run_start is None else self._run_start
            self._until_sample, self._n_below = end, 0
            return
        self._n_below += 1
        if self._n_below > 1:
            self._run_start = None

    def _spreads(self) -> float:
        return float(np.median(self._window)) if self._window else 0.0

    def _change(self, state: DriftState, spreads: float) -> DriftChange:
        self.is_drifting = state == "set in"
        until = None if self.is_drifting else max(self._until_sample, self._since_sample)
        level = self.normal.typical + self.settings.onset_spreads * self.normal.spread
        score = self.normal.typical + spreads * self.normal.spread
        return DriftChange(state, self._since_sample, until, score, level, spreads)
