"""The narrow protocol between a capture child and the daemon: framed blocks on a pipe.

    magic 4 | kind 1 | flags 1 | channels 2 | rate_hz 4 | sample 8 | lost 8 | payload bytes 4 | crc32 4 | payload ...

Everything is little-endian. The reader trusts nothing: each length is bounded before it is read, each frame is
checked, and a frame that does not fit ends the child's life (the supervisor starts another).
"""

from __future__ import annotations

import os
import select
import struct
import time
import zlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from edged.errors import DeviceError
from edged.flow import Float32Array

_MAGIC = b"EDG1"
_HEAD = struct.Struct("<4sBBHIQQII")
_CHECKED_BYTES = _HEAD.size - 4
MAX_PAYLOAD_BYTES = 8 << 20
MAX_CHANNELS = 64
_READ_BYTES = 1 << 16
_LONGEST_POLL_S = 60.0
MAX_RATE_HZ = 768_000
MAX_SAMPLE = 1 << 60
PERMANENT = 1
"""Flag of an ERROR frame: starting the child again cannot help."""
ABSENT = 2
"""Flag of an ERROR frame: the device is not there."""
REALTIME = 4
"""Flag of a FORMAT or BLOCK frame: the child runs with the real-time priority that was asked for."""


class FrameKind(IntEnum):
    """What a frame says."""

    FORMAT = 1
    BLOCK = 2
    END = 3
    ERROR = 4


class FramingError(DeviceError):
    """The capture child sent something that is not a frame; it is stopped and started again."""


class FrameTimeoutError(DeviceError):
    """No frame came in time."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a capture child.

    Attributes:
        sample: index of the first frame of a BLOCK, or one past the last at END, in device samples since the child's
            start (plus its start offset).
        lost: device samples lost right before ``sample``.
        payload: BLOCK: float32 interleaved (n_frames * channels); ERROR: UTF-8 text.
    """

    kind: FrameKind
    rate_hz: int = 0
    channels: int = 0
    sample: int = 0
    lost: int = 0
    flags: int = 0
    payload: bytes = b""

    def audio(self) -> Float32Array:
        """The samples of a BLOCK: float32 (n_frames, channels), a read-only view."""
        return np.frombuffer(self.payload, dtype="<f4").reshape(-1, self.channels)

    def text(self) -> str:
        """The message of an ERROR."""
        return self.payload.decode("utf-8", errors="replace")


def encode(frame: Frame) -> bytes:
    """One frame as bytes."""
    head = _HEAD.pack(_MAGIC, frame.kind, frame.flags, frame.channels, frame.rate_hz, frame.sample, frame.lost,
                      len(frame.payload), 0)  # fmt: skip
    crc = zlib.crc32(frame.payload, zlib.crc32(head[:_CHECKED_BYTES]))
    return head[:_CHECKED_BYTES] + struct.pack("<I", crc) + frame.payload


def _check_head(frame: Frame, payload_bytes: int) -> None:
    if payload_bytes > MAX_PAYLOAD_BYTES:
        raise FramingError(f"capture frame of {payload_bytes} bytes is over the limit of {MAX_PAYLOAD_BYTES}")
    if max(frame.sample, frame.lost) > MAX_SAMPLE:
        raise FramingError("capture frame with an impossible sample index")
    if frame.kind is not FrameKind.ERROR:
        if not 0 < frame.channels <= MAX_CHANNELS or not 0 < frame.rate_hz <= MAX_RATE_HZ:
            raise FramingError(f"capture frame with {frame.channels} channels at {frame.rate_hz} Hz")
        if payload_bytes % (4 * frame.channels):
            raise FramingError(f"capture frame of {payload_bytes} bytes does not hold whole frames")


def _parse_head(head: bytes) -> tuple[Frame, int, int]:
    """A frame without payload, its payload length and its CRC."""
    magic, kind, flags, channels, rate_hz, sample, lost, payload_bytes, crc = _HEAD.unpack(head)
    if magic != _MAGIC:
        raise FramingError("bytes from the capture child are not a frame")
    try:
        frame = Frame(FrameKind(kind), rate_hz, channels, sample, lost, flags)
    except ValueError:
        raise FramingError(f"capture frame of unknown kind {kind}") from None
    _check_head(frame, payload_bytes)
    return frame, payload_bytes, crc


class FrameReader:
    """Reads frames from a pipe, with a time limit for each, never holding more than one frame.

    Args:
        fd: readable file descriptor; stays the caller's.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poller = select.poll()
        self._poller.register(fd, select.POLLIN)

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame, or None when the child closed the pipe between two frames.

        Raises:
            FramingError: for anything that is not a whole, correct frame.
            FrameTimeoutError: when ``timeout_s`` passes first.
        """
        deadline_s = time.monotonic() + timeout_s
        head = self._take(_HEAD.size, deadline_s)
        if not head:
            return None
        frame, payload_bytes, crc = _parse_head(head)
        payload = self._take(payload_bytes, deadline_s) if payload_bytes else b""
        if len(payload) < payload_bytes:
            raise FramingError("the capture child died in the middle of a frame")
        if zlib.crc32(payload, zlib.crc32(head[:_CHECKED_BYTES])) != crc:
            raise FramingError("capture frame with a wrong check sum")
        return Frame(frame.kind, frame.rate_hz, frame.channels, frame.sample, frame.lost, frame.flags, payload)

    def _take(self, n_bytes: int, deadline_s: float) -> bytes:
        """``n_bytes`` bytes; fewer at the end of the pipe inside a payload, none at its end before a header."""
        buffer = bytearray()
        while len(buffer) < n_bytes:
            wait_s = deadline_s - time.monotonic()
            if wait_s <= 0:
                raise FrameTimeoutError("the capture child sent nothing in time")
            if not self._poller.poll(min(wait_s, _LONGEST_POLL_S) * 1000):
                continue
            chunk = os.read(self._fd, min(n_bytes - len(buffer), _READ_BYTES))
            if not chunk:
                break
            buffer += chunk
        if n_bytes == _HEAD.size and 0 < len(buffer) < n_bytes:
            raise FramingError("the capture child died in the middle of a frame")
        return bytes(buffer)
