"""From what a monitor decides to stretches of normal scores; costs the worker an append to a list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from edged.flow import Detection, Outcome, Scored
from edged.references.history import MAX_STRETCH, Stretch

SETTLING_SEGMENTS = 12
"""Left out after an alarm: half a minute in which what raised it fades."""
MAX_WAITING = 200
"""Stretches that may wait to be stored; older ones are given up, and their scores counted."""

WallNs = Callable[[int], int]


class Recorder:
    """Gathers the scores of one monitor: filled by the worker, emptied by the keeper.

    Args:
        hop_samples: from one segment to the next.

    Attributes:
        given_up: scores that waited too long; for any thread.
    """

    def __init__(self, hop_samples: int) -> None:
        self._hop_samples = hop_samples
        self._lock = threading.Lock()
        self._done: list[tuple[int, Stretch]] = []
        self._scores: list[float] = []
        self._facts: tuple[int, str, float] = (0, "", 0.0)  # bank, domain, ceiling
        self._started_ns = 0
        self._continues = False
        self._next_start: int | None = None
        self._is_open = False
        self._in_alarm = False
        self._settling = 0
        self.given_up = 0

    def push(self, outcome: Outcome, bank: int, wall_ns: WallNs) -> None:
        """Take what the monitor made of its next segment (worker's thread)."""
        with self._lock:
            self._follow_alarm(outcome.detections)
            for scored in outcome.scored:
                if not scored.is_judged or self._is_left_out():
                    self._close()
                    self._next_start = None
                else:
                    self._add(scored, bank, wall_ns)

    def take(self) -> list[tuple[int, Stretch]]:
        """Everything so far, with the bank's version, oldest first."""
        with self._lock:
            self._close()
            done, self._done = self._done, []
        return done

    def _follow_alarm(self, detections: Sequence[Detection]) -> None:
        kinds = [detection.kind for detection in detections]
        if "onset" in kinds:
            self._close(ended_in_alarm=self._next_start is not None)
            self._in_alarm = True
        if "cleared" in kinds:
            self._in_alarm, self._settling = False, SETTLING_SEGMENTS + 1

    def _is_left_out(self) -> bool:
        is_left_out = self._in_alarm or self._settling > 0
        self._settling = max(0, self._settling - 1)
        return is_left_out

    def _add(self, scored: Scored, bank: int, wall_ns: WallNs) -> None:
        facts = (bank, scored.domain, scored.threshold)
        follows = scored.sample_start == self._next_start and bank == self._facts[0]
        if not self._is_open or not follows or facts != self._facts or len(self._scores) >= MAX_STRETCH:
            self._close()
            self._is_open = True
            self._facts, self._continues = facts, follows
            self._started_ns = wall_ns(scored.sample_start)
        self._scores.append(scored.anomaly_score)
        self._next_start = scored.sample_start + self._hop_samples

    def _close(self, *, ended_in_alarm: bool = False) -> None:
        """End the stretch at hand, be it an empty one that says that an alarm came; what goes on continues it."""
        if not self._scores and not ended_in_alarm:
            return
        bank, domain, ceiling = self._facts
        scores = np.array(self._scores, np.float32)
        continues = self._continues if self._scores else True
        stretch = Stretch(domain, self._started_ns, scores, ceiling, continues, ended_in_alarm)
        self._done.append((bank, stretch))
        self.given_up += sum(len(one.scores) for _, one in self._done[:-MAX_WAITING])
        del self._done[:-MAX_WAITING]
        self._scores, self._is_open = [], False
