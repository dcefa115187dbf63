"""The stages of one monitor, one after the other, as fast as the computer allows.

    block -> features -> segment -> embedding -> (back end or DTW | decision)
             `push`                 `embed`       `accept`

They are the daemon's own objects. What `accept` takes beyond the back end, which is run by itself beforehand, is the
decision.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from edged.bench.back_end import back_end_of
from edged.bench.timings import Timings
from edged.embed.protocol import Embedder
from edged.flow import SAMPLE_RATE_HZ, Block, Embedding, Float32Array, Segment
from edged.pipeline import Monitor
from edged.runtime.worker import TAKE_SAMPLES

FEATURES, EMBEDDING, DECISION = "features", "embedding", "decision"
BACK_END = {"anomaly": "back end", "keyword": "DTW"}
LEAST_SEGMENTS = 5
"""However short the time is."""
_WARM_UP_SEGMENTS = 2
_LEAST_STEPS = 6
"""12 s: some segments of the slowest monitor."""


@dataclass(frozen=True)
class Stage:
    """One stage of one stream.

    Attributes:
        load: seconds that it takes of a processor for a second of sound, when there is much to do; where a GPU
            computes, seconds that the worker waits for it.
        p50_s, p99_s: what it adds to the delay of a segment, when there is nothing else to do.
        calls: how many the percentiles are of.
    """

    name: str
    load: float
    p50_s: float
    p99_s: float
    calls: int

    @classmethod
    def of(cls, name: str, single: Timings, load: float) -> Stage:
        """From calls for one segment each."""
        return cls(name, load, single.percentile_s(50), single.percentile_s(99), len(single.wall_s))


@dataclass(frozen=True)
class MonitorCost:
    """What a monitor costs.

    Attributes:
        monitor: ``anomaly`` or ``keyword``.
        bundle: label of its bundle.
        runs_on: what ran the network.
        segment_every_s: between two segments.
    """

    monitor: str
    bundle: str
    runs_on: str
    segment_every_s: float
    stages: tuple[Stage, ...]

    @property
    def load(self) -> float:
        """Of all stages."""
        return sum(stage.load for stage in self.stages)

    @property
    def delay_s(self) -> float:
        """Median, from the last block of a segment to its decision, when nothing else is to be done."""
        return sum(stage.p50_s for stage in self.stages)

    def run_by(self, network: str, p50_s: float, p99_s: float, segment_s: float) -> MonitorCost:
        """The same monitor, its network run by a GPU.

        Args:
            p50_s, p99_s: of a segment by itself.
            segment_s: what one takes of the worker's time in the batches that come when there is much to do.
        """
        stages = (
            replace(stage, load=segment_s / self.segment_every_s, p50_s=p50_s, p99_s=p99_s)
            if stage.name == EMBEDDING
            else stage
            for stage in self.stages
        )
        return replace(self, runs_on=network, stages=tuple(stages))


@dataclass
class _Stages:
    """Calls of each stage."""

    features: Timings = field(default_factory=Timings)
    embedding: Timings = field(default_factory=Timings)
    back_end: Timings = field(default_factory=Timings)
    accept: Timings = field(default_factory=Timings)

    @property
    def decision(self) -> Timings:
        """What accepting takes beside the back end."""
        return self.accept.beyond(self.back_end)


class StageBench:
    """Sound through one monitor, in two ways.

    Block by block, as it comes when a computer has little to do, tells the delays. In the steps that the worker makes
    when much waits for it tells what a stage costs then: less, since what it needs is in the processor's caches.

    Args:
        monitor: with references.
        embedder: of the CPU.
        block_samples: length of the blocks it is given.
    """

    def __init__(self, monitor: Monitor, embedder: Embedder, block_samples: int) -> None:
        self._monitor, self._embedder = monitor, embedder
        self._block_samples = block_samples
        self._back_end = back_end_of(monitor)

    def run(self, sound: Float32Array, seconds: float) -> MonitorCost:
        """Measure for so long, over and over the same sound."""
        blocks = endless_blocks(sound, self._block_samples)
        single, steps, unused = _Stages(), _Stages(), _Stages()
        self._one_by_one(blocks, unused, 0.0, _WARM_UP_SEGMENTS)
        self._one_by_one(blocks, single, seconds / 2, LEAST_SEGMENTS)
        self._in_steps(blocks, unused, 0.0)
        return self._cost(single, steps, self._in_steps(blocks, steps, seconds / 2))

    def _one_by_one(self, blocks: Iterator[Block], into: _Stages, seconds: float, least: int) -> None:
        end_s = time.perf_counter() + seconds
        while time.perf_counter() < end_s or len(into.accept.wall_s) < least:
            pushed = Timings()
            for segment in pushed.time(self._monitor.push, next(blocks)):
                into.features.add(pushed.wall_s[0], pushed.cpu_s[0])
                (embedding,) = into.embedding.time(self._embedder.embed, [segment])
                into.back_end.time(self._back_end, embedding)
                into.accept.time(self._monitor.accept, embedding)

    def _in_steps(self, blocks: Iterator[Block], into: _Stages, seconds: float) -> float:
        """As the worker does; how many seconds of sound that were."""
        per_step = max(1, TAKE_SAMPLES // self._block_samples)
        end_s = time.perf_counter() + seconds
        n_steps = 0
        while time.perf_counter() < end_s or n_steps < _LEAST_STEPS:
            step = list(islice(blocks, per_step))
            segments = into.features.time(self._segments, step)
            embeddings = into.embedding.time(self._embedder.embed, segments)
            into.back_end.time(_for_all, self._back_end, embeddings)
            into.accept.time(_for_all, self._monitor.accept, embeddings)
            n_steps += 1
        return n_steps * per_step * self._block_samples / SAMPLE_RATE_HZ

    def _segments(self, blocks: Sequence[Block]) -> list[Segment]:
        return [segment for block in blocks for segment in self._monitor.push(block)]

    def _cost(self, single: _Stages, steps: _Stages, sound_s: float) -> MonitorCost:
        manifest, name = self._monitor.bundle.manifest, self._monitor.name
        parts = (
            (FEATURES, single.features, steps.features),
            (EMBEDDING, single.embedding, steps.embedding),
            (BACK_END[name], single.back_end, steps.back_end),
            (DECISION, single.decision, steps.decision),
        )
        stages = tuple(Stage.of(stage, alone, sum(many.cpu_s) / sound_s) for stage, alone, many in parts)
        every_s = manifest.hop_samples / SAMPLE_RATE_HZ
        return MonitorCost(name, self._monitor.bundle.label, self._embedder.provider, every_s, stages)


def _for_all(work: Callable[[Embedding], object], embeddings: Sequence[Embedding]) -> None:
    for embedding in embeddings:
        work(embedding)


def endless_blocks(sound: Float32Array, block_samples: int) -> Iterator[Block]:
    """Whole blocks, the sound from its beginning again and again, on one clock."""
    sample = 0
    while True:
        for at in range(0, len(sound) - block_samples + 1, block_samples):
            yield Block(sample, sound[at : at + block_samples])
            sample += block_samples
