"""Keeps the device's sample index true to real time across the lives of its capture children."""

from __future__ import annotations

from edged.capture.framing import Frame, FramingError
from edged.capture.source import DeviceBlock, SourceSpec
from edged.flow import SAMPLE_RATE_HZ


class Alignment:
    """Turns the frames of successive children into device blocks with one running index.

    A live device goes on while its child is away: what it would have delivered since the last block is declared lost
    when the next block comes; so it is for a FIFO to which nobody wrote meanwhile. A paced file is played on from where
    it would be by then; other sources go on where they were cut.

    Args:
        spec: the source.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self._spec = spec
        self._next = 0  # device index after the last block
        self.rate_hz = 0
        self._last_block_s = 0.0
        self._offset: int | None = 0  # what to add to the child's own index; None until a live child's first block
        self._child_next = 0
        self._was_absent = False  # what is not live goes on where it was cut, unless its maker was gone meanwhile
        self._child_shape: tuple[int, int] | None = None  # rate and channels, which do not change within a child's life
        self.lost = 0
        self.overruns = 0

    @property
    def end(self) -> int:
        """Device index one past everything delivered or declared lost."""
        return self._next

    def new_child(self, now_s: float) -> SourceSpec:
        """What the next child is to open."""
        self._child_shape = None
        if self.rate_hz == 0:
            return self._spec
        if self._spec.kind == "file":
            away_s = (now_s - self._last_block_s) * self._spec.speed
            self._offset, self._child_next = 0, self._next + round(away_s * self.rate_hz)
            return self._spec.starting_at(self._child_next)
        self._offset, self._child_next = None, 0
        return self._spec

    def absent(self) -> None:
        """The device is not there: time goes on without it, whatever it is."""
        self._was_absent = True

    def block(self, frame: Frame, now_s: float) -> DeviceBlock:
        """The device block in a BLOCK frame that came at ``now_s``.

        Raises:
            FramingError: if the child's index does not run on, or its rate or channels change.
        """
        self._child_shape = self._child_shape or (frame.rate_hz, frame.channels)
        if self._child_shape != (frame.rate_hz, frame.channels):
            raise FramingError("the capture child changed its rate or its channels")
        if frame.sample != self._child_next + frame.lost:
            raise FramingError("the capture child's sample index does not run on")
        audio = frame.audio()
        self._change_rate(frame.rate_hz)
        if self._offset is None:
            self._offset = self._first_index(len(audio), now_s) - frame.sample
        sample = self._offset + frame.sample
        block = DeviceBlock(sample, audio, frame.rate_hz, lost_before=sample - self._next)
        self.lost += block.lost_before
        self.overruns += frame.lost > 0
        self._was_absent = False
        self._child_next = frame.sample + len(audio)
        self._next, self._last_block_s = block.end, now_s
        return block

    def finish(self, frame: Frame) -> None:
        """The source's END: a paced file whose end passed while its child was away has lost its rest."""
        reached = (self._offset or 0) + frame.sample
        self.lost += max(0, reached - self._next)
        self._next = max(self._next, reached)

    def _first_index(self, n_frames: int, now_s: float) -> int:
        """Where the first block of another child of a live device lies; at least one stream sample is lost."""
        goes_on = self._spec.is_live or self._was_absent
        away_frames = round((now_s - self._last_block_s) * self.rate_hz) if goes_on else 0
        at_least = -(-self.rate_hz // SAMPLE_RATE_HZ)
        return self._next + max(at_least, away_frames - n_frames)

    def _change_rate(self, rate_hz: int) -> None:
        """Another rate keeps the seconds: index / rate is time since the stream's zero."""
        if self.rate_hz not in {0, rate_hz}:
            self._next = -(-self._next * rate_hz // self.rate_hz)
        self.rate_hz = rate_hz
