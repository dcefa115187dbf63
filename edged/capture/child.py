"""The capture child: opens one source and writes framed blocks to standard output. ``python -m edged.capture.child``.

It knows nothing of models, sockets or the state. It ends with the source, with its parent, or when nobody reads.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from edged.capture.framing import ABSENT, PERMANENT, REALTIME, Frame, FrameKind, encode
from edged.capture.open import open_source
from edged.capture.realtime import RealtimePriority
from edged.capture.source import AbsentDeviceError, DeviceBlock, Source, SourceSpec, is_permanent
from edged.capture.spawn import LIST_DEVICES
from edged.errors import EdgedError

_PR_SET_PDEATHSIG = 1
_NOTHING_MORE_TO_SAY = 1


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGKILL when the parent is gone; leave at once if it already is."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent_pid and os.getppid() != parent_pid:
        sys.exit(_NOTHING_MORE_TO_SAY)


def private_output() -> BinaryIO:
    """Standard output for frames alone: what libraries print goes to standard error."""
    frames_fd = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(frames_fd, "wb", buffering=0)


def frames_of(source: Source, start_frame: int, priority: RealtimePriority | None = None) -> Iterator[Frame]:
    """FORMAT, every BLOCK, END (with the sample index reached)."""
    priority = priority or RealtimePriority()
    shape, reached = source.format, start_frame
    yield Frame(FrameKind.FORMAT, shape.rate_hz, shape.channels, flags=_flags(priority))
    for block in source.blocks():
        yield _block_frame(block, _flags(priority))
        reached = block.end
    yield Frame(FrameKind.END, shape.rate_hz, shape.channels, reached)


def _flags(priority: RealtimePriority) -> int:
    return REALTIME if priority.is_held else 0


def _block_frame(block: DeviceBlock, flags: int) -> Frame:
    payload = np.ascontiguousarray(block.frames, dtype="<f4").tobytes()
    channels = block.frames.shape[1]
    return Frame(FrameKind.BLOCK, block.rate_hz, channels, block.sample, block.lost_before, flags, payload)


def _write(out: BinaryIO, frame: Frame) -> None:
    view = memoryview(encode(frame))
    while view:
        view = view[out.write(view) :]


def capture(spec: SourceSpec, out: BinaryIO) -> int:
    """Write the source to ``out`` until it ends; returns the exit status."""
    priority = RealtimePriority()
    try:
        source = open_source(spec)
        try:
            priority.ask(spec.realtime_priority)  # now that the threads of the sound system are there
            for frame in frames_of(source, spec.start_frame, priority):
                _write(out, frame)
        finally:
            source.close()
    except EdgedError as error:
        _write(out, error_frame(error))
        return error.exit_code
    return 0


def error_frame(error: EdgedError) -> Frame:
    """The last frame of a child that cannot go on."""
    flags = (PERMANENT if is_permanent(error) else 0) | (ABSENT if isinstance(error, AbsentDeviceError) else 0)
    return Frame(FrameKind.ERROR, flags=flags, payload=str(error).encode()[:2000])


def _list_devices(out: BinaryIO) -> int:
    from edged.capture.microphone import input_devices, load_sounddevice  # noqa: PLC0415 - only this errand needs them

    try:
        devices = [dataclasses.asdict(device) for _, device in input_devices(load_sounddevice())]
        out.write(json.dumps({"devices": devices}).encode())
    except EdgedError as error:
        out.write(json.dumps({"error": error.message, "fix": error.fix}).encode())
        return error.exit_code
    return 0


def main() -> int:
    """Entry point; arguments: the parent's process id and a source as JSON, or ``--list``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the daemon's to handle
    out = private_output()
    if sys.argv[1:] == [LIST_DEVICES]:
        return _list_devices(out)
    die_with_parent(int(sys.argv[1]))
    try:
        return capture(SourceSpec.from_json(sys.argv[2]), out)
    except BrokenPipeError:  # the daemon closed its end: that is how it stops us
        return 0


if __name__ == "__main__":
    sys.exit(main())
