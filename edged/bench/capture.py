"""The capture side of a device, as fast as the computer allows: what its child does, and what its reader does.

    file -> frames -> bytes  |  bytes -> frame -> blocks of every stream -> ring, health, inbox
          the child          |          the daemon's reader

A file stands in for the microphone: the sound system's own part is not in it, nor is waking up for every block.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import RawIOBase
from pathlib import Path

from edged.bench.stages import Stage
from edged.bench.timings import Timings
from edged.capture.align import Alignment
from edged.capture.child import frames_of
from edged.capture.framing import Frame, FrameKind, FrameReader, encode
from edged.capture.open import open_source
from edged.capture.source import SourceSpec
from edged.clock import StreamClock, SystemClock
from edged.config import CaptureSettings
from edged.pipeline import Monitor
from edged.runtime.stream import Stream

CHILD, READER = "capture child", "capture reader"
_READ_WITHIN_S = 10.0


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


def capture_cost(
    spec: SourceSpec, channels: Sequence[int], monitors: Sequence[Monitor], capture: CaptureSettings, directory: Path
) -> CaptureCost:
    """Play a device's file through both sides.

    Args:
        spec: of a file.
        channels: of each of its streams.
        monitors: any: their judgement of the input is part of the reader's work.
        directory: room for the frames.
    """
    written = directory / "frames"
    child, sound_s = _written(replace(spec, speed=0.0, loop=False), written)
    streams = [_stream(number, channel, monitors, capture) for number, channel in enumerate(channels)]
    reader = _read(written, spec, streams)
    written.unlink()
    return CaptureCost(Stage.of(CHILD, child, sound_s), Stage.of(READER, reader, sound_s), len(channels))


def _written(spec: SourceSpec, path: Path) -> tuple[Timings, float]:
    """The child's side; how many seconds of sound that was."""
    timings, sound_s = Timings(), 0.0
    source = open_source(spec)
    frames = frames_of(source, 0)
    try:
        with path.open("wb", buffering=0) as out:
            while True:
                frame = timings.time(_one_frame, frames, out)
                if frame.kind is FrameKind.BLOCK:
                    sound_s += len(frame.audio()) / frame.rate_hz
                if frame.kind is FrameKind.END:
                    return timings, sound_s
    finally:
        source.close()


def _one_frame(frames: Iterator[Frame], out: RawIOBase) -> Frame:
    frame = next(frames)
    out.write(encode(frame))
    return frame


def _stream(number: int, channel: int, monitors: Sequence[Monitor], capture: CaptureSettings) -> Stream:
    clock = StreamClock(SystemClock(), is_live=False)
    changed = threading.Condition()
    return Stream(f"s{number}", "bench", channel, list(monitors), settings=capture, changed=changed, clock=clock,
                  is_live=False)  # fmt: skip


def _read(path: Path, spec: SourceSpec, streams: Sequence[Stream]) -> Timings:
    """The reader's side."""
    timings, alignment = Timings(), Alignment(spec)
    with path.open("rb", buffering=0) as written:
        reader = FrameReader(written.fileno())
        while timings.time(_take_frame, reader, alignment, streams):
            for stream in streams:
                stream.inbox.take(1 << 62)
    return timings


def _take_frame(reader: FrameReader, alignment: Alignment, streams: Sequence[Stream]) -> bool:
    frame = reader.read(_READ_WITHIN_S)
    if frame is None or frame.kind is FrameKind.END:
        return False
    if frame.kind is FrameKind.BLOCK:
        block = alignment.block(frame, 0.0)
        for stream in streams:
            stream.feed(block)
    return True
