"""What can run a bundle's network on this computer, and how it fares with batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from edged.bench.site import steady_sound
from edged.bench.timings import Timings
from edged.compile.engines import EngineStore
from edged.compile.loading import load_engine
from edged.embed.bundle import Bundle
from edged.embed.protocol import Embedder
from edged.errors import AcceleratorError, EdgedError
from edged.flow import SAMPLE_RATE_HZ, Block, Segment
from edged.frontend import front_end
from edged.runtime.backends import NO_ENGINE

CPU_SIZES = (1, 4, 16)
"""The CPU takes one segment at a time, however many there are: a few sizes show it."""
GPU_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SOUND_S = 20
_LEAST_RUNS, _MOST_RUNS = 3, 200


@dataclass(frozen=True)
class Choice:
    """Something that could run a network.

    Attributes:
        name: ``CPU``, ``CUDA``, ``TensorRT``.
        open: makes the embedder; refuses where it cannot be used.
    """

    name: str
    open: Callable[[], Embedder]

    @property
    def on_gpu(self) -> bool:
        """Whether the processor is free meanwhile."""
        return self.name != "CPU"


@dataclass(frozen=True)
class BatchTime:
    """A batch of one size.

    Attributes:
        p50_s, p99_s: from giving it to having it.
        cpu_s: median of the processor time of all of it.
    """

    size: int
    p50_s: float
    p99_s: float
    cpu_s: float

    @property
    def segment_s(self) -> float:
        """Median share of one segment."""
        return self.p50_s / self.size


def choices(bundle: Bundle, engines: EngineStore) -> list[Choice]:
    """All there are, the daemon's order of preference from the last to the first."""

    def on_cpu() -> Embedder:
        from edged.embed.onnx import OnnxEmbedder  # noqa: PLC0415 - loading the runtime takes long

        return OnnxEmbedder(bundle)

    def on_cuda() -> Embedder:
        from edged.embed.onnx import OnnxEmbedder, has_cuda  # noqa: PLC0415

        if not has_cuda():
            raise AcceleratorError("this ONNX Runtime has no CUDA")
        return OnnxEmbedder(bundle, on_gpu=True)

    def by_engine() -> Embedder:
        record = engines.record(bundle)
        if record is None:
            raise AcceleratorError(NO_ENGINE)
        return load_engine(engines, bundle, record)

    found = [Choice("CPU", on_cpu)]
    if bundle.manifest.model is not None:
        found += [Choice("CUDA", on_cuda), Choice("TensorRT", by_engine)]
    return found


@contextmanager
def opened(choice: Choice) -> Iterator[Embedder | str]:
    """Its embedder, released afterwards, or the reason why it cannot be used."""
    try:
        embedder = choice.open()
    except EdgedError as error:
        yield error.message
        return
    except ImportError as error:
        yield str(error)
        return
    try:
        yield embedder
    finally:
        close = getattr(embedder, "close", None)
        if close:
            close()


def some_segments(bundle: Bundle) -> list[Segment]:
    """Of steady sound."""
    return front_end(bundle).push(Block(0, steady_sound()[: _SOUND_S * SAMPLE_RATE_HZ]))


def batch_times(bundle: Bundle, embedder: Embedder, sizes: Sequence[int], seconds: float) -> list[BatchTime]:
    """Median and 99 % of every size that there is time for; a GPU that has no memory for a size ends it."""
    segments = some_segments(bundle)
    found: list[BatchTime] = []
    for size in sizes:
        batch = [segments[number % len(segments)] for number in range(size)]
        try:
            found.append(_one_size(embedder, batch, seconds / len(sizes)))
        except EdgedError:
            break
    return found


def _one_size(embedder: Embedder, batch: Sequence[Segment], seconds: float) -> BatchTime:
    embedder.embed(batch)
    timings, end_s = Timings(), time.perf_counter() + seconds
    while len(timings.wall_s) < _LEAST_RUNS or (time.perf_counter() < end_s and len(timings.wall_s) < _MOST_RUNS):
        timings.time(embedder.embed, batch)
    return BatchTime(len(batch), timings.percentile_s(50), timings.percentile_s(99), float(np.median(timings.cpu_s)))
