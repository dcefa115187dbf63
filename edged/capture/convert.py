"""From device frames to the 16 kHz mono blocks of one stream, with exact accounting of every sample.

Used for live devices and for files alike, so what is scored offline is what is scored live. The signal is cut on a grid
of 10 ms device cells that does not depend on how it arrived; a cell holding a sample that is not a number is declared
lost. A device sample ``d`` lies at ``d / rate`` seconds and a stream sample ``s`` at ``s / 16000`` seconds: both clocks
share their zero, also across gaps and changes of rate.
"""

from __future__ import annotations

import numpy as np
import soxr

from edged.capture.source import DeviceBlock
from edged.errors import AudioError
from edged.flow import SAMPLE_RATE_HZ, Block, Float32Array

MAX_ABS_SAMPLE = 1e6
"""Beyond this a float is not sound (full scale is 1), and its square would leave float32's range downstream."""
_CELLS_PER_SECOND = 100


def stream_index(device_sample: int, rate_hz: int) -> int:
    """The first stream sample at or after a device sample.

    >>> stream_index(44_100, 44_100), stream_index(1, 48_000)
    (16000, 1)
    """
    return -(-device_sample * SAMPLE_RATE_HZ // rate_hz)


class ChannelConverter:
    """One channel of a device as 16 kHz blocks: ``push`` device blocks, ``flush`` at the end.

    At 16 kHz the samples pass bit for bit; other rates go through soxr, whose output does not depend on the cutting.

    Args:
        channel: 0-based channel of the device.
    """

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._rate_hz = 0
        self._cell = 1
        self._tail: Float32Array = np.zeros(0, np.float32)
        self._tail_sample = 0  # device index of the tail's first sample
        self._resampler: soxr.ResampleStream | None = None
        self._piece_open = False  # a piece is what lies between two gaps
        self._after_gap = False
        self._piece_next = 0  # stream index of the piece's next sample
        self._piece_limit = 0  # and where its input ends; rounding never passes it
        self._emitted_end = 0  # stream index one past the last sample handed out

    def push(self, block: DeviceBlock) -> list[Block]:
        """Blocks that are ready; a gap is told by the ``lost_before`` of the block after it.

        Raises:
            AudioError: if the device has no such channel.
        """
        if self._channel >= block.frames.shape[1]:
            present = block.frames.shape[1]
            raise AudioError(f"channel {self._channel} of a device with {present} channels", fix="they count from 0")
        out: list[Block] = []
        if block.rate_hz != self._rate_hz or block.lost_before or block.sample != self._end:
            out += self.flush()
            self._start_at(block)
        samples = np.ascontiguousarray(block.frames[:, self._channel], dtype=np.float32)
        return out + self._feed(samples)

    def finish(self, end: int, rate_hz: int) -> tuple[list[Block], int]:
        """The last blocks, and how many stream samples are lost after them when the device got as far as ``end``."""
        out = self.flush()
        return out, max(0, stream_index(end, rate_hz) - self._emitted_end) if rate_hz else 0

    def flush(self) -> list[Block]:
        """What is still inside: the last cell and the resampler's tail. The next push begins anew."""
        out = self._take(self._tail)
        self._tail = self._tail[:0]
        return out + self._finish_piece()

    @property
    def received(self) -> int:
        """Stream samples that came in or were declared lost so far; after a flush, what was not handed out is lost."""
        return max(self._emitted_end, stream_index(self._end, self._rate_hz)) if self._rate_hz else 0

    @property
    def _end(self) -> int:
        return self._tail_sample + len(self._tail)

    def _start_at(self, block: DeviceBlock) -> None:
        self._after_gap = self._rate_hz > 0
        self._rate_hz = block.rate_hz
        self._cell = max(1, block.rate_hz // _CELLS_PER_SECOND)
        self._tail_sample = block.sample

    def _feed(self, samples: Float32Array) -> list[Block]:
        joined = np.concatenate([self._tail, samples]) if len(self._tail) else samples
        end = self._tail_sample + len(joined)
        ready = max(0, end - end % self._cell - self._tail_sample)
        self._tail = joined[ready:].copy()
        return self._take(joined[:ready])

    def _take(self, samples: Float32Array) -> list[Block]:
        """Convert samples that begin at the tail's index and end on the grid (or at the end of a piece)."""
        start = self._tail_sample
        self._tail_sample += len(samples)
        if len(samples) == 0:
            return []
        if _is_sound(samples):
            return self._convert(start, samples)
        return self._convert_around_bad_cells(start, samples)

    def _convert_around_bad_cells(self, start: int, samples: Float32Array) -> list[Block]:
        out: list[Block] = []
        position = 0
        while position < len(samples):
            size = self._cell - (start + position) % self._cell
            cell = samples[position : position + size]
            out += self._convert(start + position, cell) if _is_sound(cell) else self._finish_piece()
            position += len(cell)
        return out

    def _convert(self, start: int, samples: Float32Array) -> list[Block]:
        if not self._piece_open:
            self._open_piece(start)
        self._piece_limit = stream_index(start + len(samples), self._rate_hz)
        return self._emit(self._resampler.resample_chunk(samples) if self._resampler else samples.copy())

    def _open_piece(self, start: int) -> None:
        """Begin at a device sample; after a gap at least one stream sample is lost, so that everybody sees the gap."""
        self._piece_open = True
        self._piece_next = max(stream_index(start, self._rate_hz), self._emitted_end + self._after_gap)
        self._after_gap = True
        if self._rate_hz != SAMPLE_RATE_HZ:
            self._resampler = soxr.ResampleStream(self._rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")

    def _finish_piece(self) -> list[Block]:
        out: list[Block] = []
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            out = self._emit(rest[: max(0, self._piece_limit - self._piece_next)])
        self._resampler, self._piece_open = None, False
        return out

    def _emit(self, samples: Float32Array) -> list[Block]:
        if len(samples) == 0:
            return []
        block = Block(self._piece_next, samples, lost_before=self._piece_next - self._emitted_end)
        self._piece_next = self._emitted_end = block.end
        return [block]


def _is_sound(samples: Float32Array) -> bool:
    """Whether all samples are finite and of a size that can be sound (NaN is the greatest, and no comparison holds)."""
    return bool(samples.max() <= MAX_ABS_SAMPLE and samples.min() >= -MAX_ABS_SAMPLE)
