"""How many streams a computer keeps up with, from what each stage costs.

    the daemon   one interpreter: worker and readers of all streams have one core between them
    all cores    the daemon and the capture children
    memory       the latest minutes of every stream, and a capture child for every device

Whichever gives out first is the limit, and the stage that takes most of it is what to make cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edged.bench.capture import CaptureCost
from edged.bench.stages import MonitorCost

DAEMON, CORES, MEMORY = "the daemon's one core", "all cores", "memory"


@dataclass(frozen=True)
class StreamCost:
    """What one stream costs.

    Attributes:
        capture: of its device, which it may share.
    """

    name: str
    capture: CaptureCost
    monitors: tuple[MonitorCost, ...]

    @property
    def in_daemon(self) -> list[tuple[str, float]]:
        """(stage, load) of everything that the daemon does."""
        stages = [(f"{cost.monitor}: {stage.name}", stage.load) for cost in self.monitors for stage in cost.stages]
        return [(self.capture.reader.name, self.capture.reader.load / self.capture.n_streams), *stages]

    @property
    def child(self) -> tuple[str, float]:
        """(stage, load) of its share of the capture child."""
        return self.capture.child.name, self.capture.child.load / self.capture.n_streams

    @property
    def daemon_load(self) -> float:
        """Of a core."""
        return sum(load for _, load in self.in_daemon)

    @property
    def segment_s(self) -> float:
        """What the worker does when a segment of every monitor ends."""
        return sum(cost.delay_s for cost in self.monitors)


@dataclass(frozen=True)
class Room:
    """What there is to run streams in.

    Attributes:
        cores: that may be used; `idle_cores`, what other programs left of them meanwhile.
        free_mib: memory that is free.
        stream_mib: that one more stream takes, its share of a capture child included.
        block_s: length of the blocks that capture hands over.
    """

    cores: float
    idle_cores: float
    free_mib: float
    stream_mib: float
    block_s: float


@dataclass(frozen=True)
class Real:
    """How much more a real daemon used in real time than its stages do one after the other.

    A computer that is mostly idle has cold caches and low clocks and wakes up for every block; one that has much to do
    has not.
    """

    daemon: float = 1.0
    children: float = 1.0


@dataclass(frozen=True)
class Capacity:
    """What is to be expected of a mix of streams.

    Attributes:
        streams: of this mix that it keeps up with at most, when nothing else is to be done; `limit` is what gives out
            then, `stage` takes most of that, which is `share`.
        at_least: the same if every stream costs as much as one of few did in real time; the truth lies between.
        beside_others: of this mix that it keeps up with beside what ran during the measurement.
        load: of a core, for one stream of the mix on average, capture included, as things are (not at the limit).
        delay_s: after a segment's end, when nothing else ends at that time.
        all_at_once_s: the same when the segments of so many streams end together: of the last.
    """

    streams: int
    at_least: int
    beside_others: int
    limit: str
    stage: str
    share: float
    load: float
    delay_s: float
    all_at_once_s: float
    at_once: int


def predict(mix: Sequence[StreamCost], room: Room, real: Real) -> Capacity:
    """What a computer does with streams in the proportions of a mix."""
    n = len(mix)
    daemon, child = sum(one.daemon_load for one in mix) / n, sum(one.child[1] for one in mix) / n
    limits = _limits(daemon, child, room)
    dear = _limits(daemon * max(real.daemon, 1.0), child * max(real.children, 1.0), room)
    limit = min(limits, key=lambda name: limits[name])
    stage, share = _dearest(mix, limit)
    load = daemon * real.daemon + child * real.children
    beside_others = min(limits[limit], room.idle_cores / max(load, 1e-9))
    return Capacity(
        math.floor(limits[limit]), math.floor(min(dear.values())), math.floor(beside_others), limit, stage, share, load,
        room.block_s + max(cost.delay_s for one in mix for cost in one.monitors),
        room.block_s + sum(one.segment_s for one in mix), n,
    )  # fmt: skip


def _limits(daemon: float, child: float, room: Room) -> dict[str, float]:
    """How many streams of these loads each of the limits allows for."""
    return {
        DAEMON: 1.0 / max(daemon, 1e-9),
        CORES: room.cores / max(daemon + child, 1e-9),
        MEMORY: max(0.0, room.free_mib) / max(room.stream_mib, 1e-9),
    }


def _dearest(mix: Sequence[StreamCost], limit: str) -> tuple[str, float]:
    """The stage that takes most of a limit, and its share."""
    if limit == MEMORY:
        return "the latest minutes of every stream (capture.ring_s)", 1.0
    loads: dict[str, float] = {}
    for one in mix:
        for name, load in [*one.in_daemon, *([one.child] if limit == CORES else [])]:
            loads[name] = loads.get(name, 0.0) + load
    stage = max(loads, key=lambda name: loads[name])
    return stage, loads[stage] / max(sum(loads.values()), 1e-9)


def real_over_hot(mix: Sequence[StreamCost], daemon_load: float, children_load: float) -> Real:
    """From a rehearsal of this very mix."""
    hot_daemon = sum(one.daemon_load for one in mix)
    hot_children = sum(one.child[1] for one in mix)
    return Real(daemon_load / max(hot_daemon, 1e-9), children_load / max(hot_children, 1e-9))
