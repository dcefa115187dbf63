"""The latest seconds of one stream, for "enrol what you just heard" and for clips."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.flow import SAMPLE_RATE_HZ, Block, Float32Array

_Int16Array = NDArray[np.int16]
_FULL_SCALE = 32768.0  # so that what came as 16 bit is kept exactly


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a stream without a gap.

    Attributes:
        sample: index of the first sample.
        samples: float32 (n_samples,), the receiver's own.
    """

    sample: int
    samples: Float32Array


class Ring:
    """The last ``capacity_s`` seconds, held as 16-bit samples: 32 kB per second, never more.

    One thread writes, any thread copies out.
    """

    def __init__(self, capacity_s: float) -> None:
        self.capacity_samples = max(1, round(capacity_s * SAMPLE_RATE_HZ))
        self._samples = np.zeros(self.capacity_samples, np.int16)
        self._samples.fill(0)  # touches every page: what the daemon needs it takes at the start
        self._lock = threading.Lock()
        self._end = 0
        self._gaps: list[tuple[int, int]] = []  # (start, end) of declared losses, oldest first

    @property
    def end(self) -> int:
        """Index one past the newest sample."""
        return self._end

    def write(self, block: Block) -> None:
        """Keep a block; what it declares lost is remembered as a gap."""
        samples = block.samples[-self.capacity_samples :]
        scaled = samples * np.float32(_FULL_SCALE)
        np.rint(scaled, out=scaled)
        quantised = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1, out=scaled).astype(np.int16)
        with self._lock:
            self._place(block.end - len(samples), quantised)
            if block.lost_before:
                self._gaps.append((block.sample - block.lost_before, block.sample))
            self._end = block.end
            oldest = self._end - self.capacity_samples
            self._gaps = [gap for gap in self._gaps if gap[1] > oldest]

    def _place(self, sample: int, quantised: _Int16Array) -> None:
        at = sample % self.capacity_samples
        head = min(len(quantised), self.capacity_samples - at)
        self._samples[at : at + head] = quantised[:head]
        self._samples[: len(quantised) - head] = quantised[head:]

    def last(self, duration_s: float) -> list[Stretch]:
        """The newest ``duration_s`` seconds (or what there is), cut at gaps, oldest first."""
        with self._lock:
            copies = self._copies(self._end - round(duration_s * SAMPLE_RATE_HZ), self._end)
        return _stretches(copies)

    def between(self, start: int, end: int) -> list[Stretch]:
        """What of the samples from ``start`` to before ``end`` is still held, cut at gaps, oldest first."""
        with self._lock:
            copies = self._copies(start, min(end, self._end))
        return _stretches(copies)

    def _copies(self, start: int, end: int) -> list[tuple[int, _Int16Array]]:
        held_from = max(0, self._end - self.capacity_samples, start)
        return [(begin, self._copy(begin, stop)) for begin, stop in self._without_gaps(held_from, end)]

    def _without_gaps(self, start: int, end: int) -> list[tuple[int, int]]:
        pieces = []
        for gap_start, gap_end in self._gaps:
            if gap_start > start:
                pieces.append((start, min(gap_start, end)))
            start = max(start, gap_end)
        return [piece for piece in [*pieces, (start, end)] if piece[1] > piece[0]]

    def _copy(self, start: int, end: int) -> _Int16Array:
        """Plain copies, nothing else: the reader waits for the lock meanwhile."""
        first, n_samples = start % self.capacity_samples, end - start
        head = self._samples[first : first + n_samples]
        return np.concatenate([head, self._samples[: n_samples - len(head)]])


def _stretches(copies: list[tuple[int, _Int16Array]]) -> list[Stretch]:
    return [Stretch(begin, copy.astype(np.float32) / np.float32(_FULL_SCALE)) for begin, copy in copies]
