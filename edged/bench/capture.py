"""The capture side of a device: what its child does, and what the daemon's reader does.

    file -> frames -> bytes  |  bytes -> frame -> blocks of every stream -> ring, health, inbox
          the child          |          the daemon's reader

One block after the other, as fast as they go, tells what it adds to the delay. What they use is told by a child and a
reader in real time, since they wake up for every block however much waits, in a process that is busy otherwise, as a
daemon at its limit is. A file stands in for the microphone: what the sound system itself uses is not in it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import RawIOBase
from pathlib import Path

from edged.bench.processes import cpu_s
from edged.bench.stages import Stage
from edged.bench.timings import Timings
from edged.capture.align import Alignment
from edged.capture.child import frames_of
from edged.capture.framing import Frame, FrameKind, FrameReader, encode
from edged.capture.open import open_source
from edged.capture.source import SourceSpec
from edged.clock import StreamClock, SystemClock
from edged.config import CaptureSettings
from edged.errors import DeviceError
from edged.pipeline import Monitor
from edged.runtime.device import Device
from edged.runtime.stream import Stream

CHILD, READER = "capture child", "capture reader"
_READ_WITHIN_S = 10.0
_FAST_S = 10.0
"""Of sound, block after block."""
_LOOK_EVERY_S = 0.1
_ENDS_IN_S = 5.0


@dataclass(frozen=True)
class CaptureCost:
    """What a device costs.

    Attributes:
        child: of the device, in a process of its own.
        reader: of all its streams, in the daemon.
    """

    child: Stage
    reader: Stage
    n_streams: int


class CaptureBench:
    """A device of the bench and its streams.

    Args:
        spec: of a file.
        channels: of each of its streams.
        monitors: any: their judgement of the input is part of the reader's work.
        directory: room for the frames.
        work: what this thread does while the reader is measured, some milliseconds of it.
    """

    def __init__(
        self,
        spec: SourceSpec,
        channels: Sequence[int],
        monitors: Sequence[Monitor],
        capture: CaptureSettings,
        *,
        directory: Path,
        work: Callable[[], object],
    ) -> None:
        self._spec, self._channels, self._monitors = spec, channels, list(monitors)
        self._capture, self._directory, self._work = capture, directory, work

    def run(self, seconds: float) -> CaptureCost:
        """Both ways; so long in real time.

        Raises:
            DeviceError: the child does not deliver anything.
        """
        written = self._directory / "frames"
        child = _written(replace(self._spec, speed=0.0, loop=True), written)
        reader = _read(written, self._spec, self._streams())
        written.unlink()
        child_load, reader_load = self._in_real_time(seconds)
        return CaptureCost(
            Stage.of(CHILD, child, child_load), Stage.of(READER, reader, reader_load), len(self._channels)
        )

    def _streams(self) -> list[Stream]:
        return [
            Stream(
                f"s{number}", "bench", channel, self._monitors, settings=self._capture, changed=threading.Condition(),
                clock=StreamClock(SystemClock(), is_live=False), is_live=False,
            )
            for number, channel in enumerate(self._channels)
        ]  # fmt: skip

    def _in_real_time(self, seconds: float) -> tuple[float, float]:
        """Loads of child and reader; this process has no other threads that do anything."""
        streams = self._streams()
        device = Device("bench", self._spec, streams, self._capture, lambda _: None)
        device.supervisor.start()
        try:
            pid = self._running(device, streams)
            began = time.monotonic(), cpu_s([pid]), time.process_time() - time.thread_time()
            while time.monotonic() < began[0] + seconds:
                self._work()
                _empty(streams)
            ended = time.monotonic(), cpu_s([pid]), time.process_time() - time.thread_time()
        finally:
            device.supervisor.stop()
            device.abandon()
            device.supervisor.join(_ENDS_IN_S)
        took_s, child_s, reader_s = (after - before for before, after in zip(began, ended, strict=True))
        return child_s / took_s, reader_s / took_s

    def _running(self, device: Device, streams: Sequence[Stream]) -> int:
        """The child's process id, once it delivers."""
        give_up_s = time.monotonic() + self._capture.start_timeout_s
        while not streams[0].heard_samples or device.supervisor.child_pid is None:
            if time.monotonic() > give_up_s:
                raise DeviceError(f"the bench's capture child delivers nothing: {device.reason or 'no reason told'}")
            time.sleep(_LOOK_EVERY_S)
            _empty(streams)
        return device.supervisor.child_pid


def _empty(streams: Sequence[Stream]) -> None:
    for stream in streams:
        stream.inbox.take(1 << 62)


def _written(spec: SourceSpec, path: Path) -> Timings:
    """The child's side, into a file."""
    timings, written_s = Timings(), 0.0
    source = open_source(spec)
    frames = frames_of(source, 0)
    try:
        with path.open("wb", buffering=0) as out:
            while written_s < _FAST_S:
                frame = timings.time(_one_frame, frames, out)
                written_s += len(frame.audio()) / frame.rate_hz if frame.kind is FrameKind.BLOCK else 0.0
    finally:
        source.close()
    return timings


def _one_frame(frames: Iterator[Frame], out: RawIOBase) -> Frame:
    frame = next(frames)
    out.write(encode(frame))
    return frame


def _read(path: Path, spec: SourceSpec, streams: Sequence[Stream]) -> Timings:
    """The reader's side, from that file."""
    timings, alignment = Timings(), Alignment(spec)
    with path.open("rb", buffering=0) as written:
        reader = FrameReader(written.fileno())
        while timings.time(_take_frame, reader, alignment, streams):
            for stream in streams:
                stream.inbox.take(1 << 62)
    return timings


def _take_frame(reader: FrameReader, alignment: Alignment, streams: Sequence[Stream]) -> bool:
    frame = reader.read(_READ_WITHIN_S)
    if frame is None:
        return False
    if frame.kind is FrameKind.BLOCK:
        block = alignment.block(frame, 0.0)
        for stream in streams:
            stream.feed(block)
    return True
