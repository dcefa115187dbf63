"""How long something took, and how much of a processor it used."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import numpy as np

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass
class Timings:
    """Calls of one kind.

    Attributes:
        wall_s: how long each took.
        cpu_s: seconds of processor time that each took in this process; less than `wall_s` where it waited.
    """

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def time(self, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Do the work and remember what it took."""
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        done = work(*args, **kwargs)
        self.add(time.perf_counter() - wall_s, time.process_time() - cpu_s)
        return done

    def add(self, wall_s: float, cpu_s: float) -> None:
        """One more call."""
        self.wall_s.append(wall_s)
        self.cpu_s.append(cpu_s)

    def beyond(self, part: Timings) -> Timings:
        """Of calls that hold those of `part`: the rest of each."""
        return Timings(_rest(self.wall_s, part.wall_s), _rest(self.cpu_s, part.cpu_s))

    def percentile_s(self, percent: float) -> float:
        """Of the durations; 0 without any."""
        return float(np.percentile(self.wall_s, percent)) if self.wall_s else 0.0


def _rest(whole: list[float], part: list[float]) -> list[float]:
    """Never below nothing: two clocks are read in between."""
    return [max(0.0, one - other) for one, other in zip(whole, part, strict=True)]
