"""The stages of one monitor, one after the other, as fast as the computer allows.

    block -> features -> segment -> embedding -> (back end or DTW | decision)
             `push`                 `embed`       `accept`

They are the daemon's own objects. What `accept` takes beyond the back end, which is run by itself beforehand, is the
decision.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from edged.bench.timings import Timings
from edged.embed.protocol import Embedder
from edged.errors import UsageError
from edged.flow import SAMPLE_RATE_HZ, Block, Embedding, Float32Array
from edged.pipeline import AnomalyMonitor, KeywordMonitor, Monitor
from edged.score.dtw import StreamingDtw

FEATURES, EMBEDDING, DECISION = "features", "embedding", "decision"
BACK_END = {"anomaly": "back end", "keyword": "DTW"}
LEAST_SEGMENTS = 5
"""However short the time is."""
_WARM_UP_SEGMENTS = 2


@dataclass(frozen=True)
class Stage:
    """One stage of one stream.

    Attributes:
        load: seconds that it takes of a processor for a second of sound; of the worker's time, where a GPU computes.
        p50_s, p99_s: what it adds to the delay of a segment.
        calls: how many were measured.
    """

    name: str
    load: float
    p50_s: float
    p99_s: float
    calls: int

    @classmethod
    def of(cls, name: str, timings: Timings, sound_s: float, *, spent_s: float | None = None) -> Stage:
        """From the calls that add to the delay.

        Args:
            sound_s: seconds of sound that they stand for.
            spent_s: seconds of a processor, where more calls than these were made.
        """
        spent_s = sum(timings.cpu_s) if spent_s is None else spent_s
        calls = len(timings.wall_s)
        return cls(name, spent_s / sound_s, timings.percentile_s(50), timings.percentile_s(99), calls)


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


class StageBench:
    """Sound through one monitor.

    Args:
        monitor: with references.
        embedder: of the CPU.
        block_samples: length of the blocks it is given.
    """

    def __init__(self, monitor: Monitor, embedder: Embedder, block_samples: int) -> None:
        self._monitor, self._embedder = monitor, embedder
        self._block_samples = block_samples
        self._back_end = back_end_of(monitor)
        self._forget()

    def _forget(self) -> None:
        self._pushes, self._last_pushes = Timings(), Timings()
        self._embeds, self._back_ends, self._accepts = Timings(), Timings(), Timings()

    def run(self, sound: Float32Array, seconds: float) -> MonitorCost:
        """Measure for so long, over and over the same sound."""
        blocks = endless_blocks(sound, self._block_samples)
        while len(self._accepts.wall_s) < _WARM_UP_SEGMENTS:
            self._push(next(blocks))
        self._forget()
        end_s = time.perf_counter() + seconds
        while time.perf_counter() < end_s or len(self._accepts.wall_s) < LEAST_SEGMENTS:
            self._push(next(blocks))
        return self._cost()

    def _push(self, block: Block) -> None:
        segments = self._pushes.time(self._monitor.push, block)
        if segments:
            self._last_pushes.add(self._pushes.wall_s[-1], self._pushes.cpu_s[-1])
        for segment in segments:
            (embedding,) = self._embeds.time(self._embedder.embed, [segment])
            self._back_ends.time(self._back_end, embedding)
            self._accepts.time(self._monitor.accept, embedding)

    def _cost(self) -> MonitorCost:
        manifest = self._monitor.bundle.manifest
        name, every_s = self._monitor.name, manifest.hop_samples / SAMPLE_RATE_HZ
        pushed_s = len(self._pushes.wall_s) * self._block_samples / SAMPLE_RATE_HZ
        scored_s = len(self._accepts.wall_s) * every_s
        stages = (
            Stage.of(FEATURES, self._last_pushes, pushed_s, spent_s=sum(self._pushes.cpu_s)),
            Stage.of(EMBEDDING, self._embeds, scored_s),
            Stage.of(BACK_END[name], self._back_ends, scored_s),
            Stage.of(DECISION, self._accepts.beyond(self._back_ends), scored_s),
        )
        return MonitorCost(name, self._monitor.bundle.label, self._embedder.provider, every_s, stages)


def endless_blocks(sound: Float32Array, block_samples: int) -> Iterator[Block]:
    """Whole blocks, the sound from its beginning again and again, on one clock."""
    sample = 0
    while True:
        for at in range(0, len(sound) - block_samples + 1, block_samples):
            yield Block(sample, sound[at : at + block_samples])
            sample += block_samples


def back_end_of(monitor: Monitor) -> Callable[[Embedding], object]:
    """What scores an embedding in a monitor, by itself.

    Raises:
        UsageError: nothing is enrolled.
    """
    if isinstance(monitor, AnomalyMonitor) and monitor.bank:
        scorer = monitor.bank.scorer
        return lambda embedding: scorer.score(embedding.vectors)
    if isinstance(monitor, KeywordMonitor) and monitor.bank:
        model, frames = monitor.bank.model, monitor.bundle.manifest.representations[0].name
        dtw = StreamingDtw(model.templates)
        return lambda embedding: model.combine(dtw.push(embedding.vectors[frames]))
    raise UsageError(f"stream '{monitor.stream}': nothing is enrolled for {monitor.name}")
