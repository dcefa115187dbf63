"""Raw PCM from standard input or a FIFO as a source: ``arecord -t raw ... | edged run``."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edged.capture.source import AbsentDeviceError, AudioFormat, DeviceBlock, SourceSpec
from edged.errors import AudioError, DeviceError
from edged.flow import Float32Array

STDIN = "-"
_BYTES = {"s16le": 2, "f32le": 4}
_POLL_MS = 200
_HALF_FRAME_WAIT_S = 0.001


class PcmSource:
    """Interleaved samples without header. Only whole frames are ever read, so channels never shift.

    Args:
        spec: with rate, channels and sample format; of a FIFO that reopens, the first who writes to it is waited for.

    Raises:
        AudioError: if the path is not there.
        AbsentDeviceError: the same, where it is waited for: its writer may make it anew.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self._spec = spec
        self._closed = False
        self._left_bytes: int | None = None  # until the end, once the writer has closed
        self._fd = _open(spec)
        self._poller = select.poll()
        self._poller.register(self._fd, select.POLLIN)
        self._reopens = spec.reopens and stat.S_ISFIFO(os.fstat(self._fd).st_mode)
        if self._reopens:
            self._poller.poll()
        self.format = AudioFormat(spec.rate_hz, spec.channels)

    def blocks(self) -> Iterator[DeviceBlock]:
        """Samples as they come, at most ``block_s`` at once, until the writer closes (half a frame is dropped then).

        Raises:
            AbsentDeviceError: the writer of a FIFO that reopens has closed it.
        """
        frame_bytes = _BYTES[self._spec.sample_format] * self._spec.channels
        block_bytes = frame_bytes * max(1, round(self._spec.block_s * self._spec.rate_hz))
        sample = self._spec.start_frame
        while data := self._whole_frames(frame_bytes, block_bytes):
            block = DeviceBlock(sample, self._decode(data), self._spec.rate_hz)
            yield block
            sample = block.end
        if self._reopens and not self._closed:
            raise AbsentDeviceError(f"{self._spec.target}: its writer has closed it; the next one is waited for")

    def _whole_frames(self, frame_bytes: int, block_bytes: int) -> bytes:
        """What there is in whole frames; empty at the end.

        Half a frame stays in the pipe while its writer does: if this child is killed, the next one finds the channels
        in their places.
        """
        while not self._closed:
            available = self._available_bytes()
            if available is None:
                continue
            whole = min(block_bytes, available - available % frame_bytes)
            if self._left_bytes is not None:
                self._left_bytes = available - whole
            if whole:
                return os.read(self._fd, whole)
            if self._left_bytes is not None or available == 0:
                os.read(self._fd, available)  # half a frame of whoever has closed
                return b""
            time.sleep(_HALF_FRAME_WAIT_S)
        return b""

    def _available_bytes(self) -> int | None:
        """What can be read without waiting, None if nothing came for a while.

        Once the writer has closed it is what it left: half a frame of its never meets the next one's samples.
        """
        if self._left_bytes is not None:
            return self._left_bytes
        ready = self._poller.poll(_POLL_MS)
        if not ready:
            return None
        available = _readable_bytes(self._fd)
        if ready[0][1] & select.POLLHUP:
            self._left_bytes = available
        return available

    def _decode(self, data: bytes) -> Float32Array:
        """float32 (n_frames, channels), full scale +-1."""
        if self._spec.sample_format == "s16le":
            samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
        else:
            samples = np.frombuffer(data, "<f4").astype(np.float32)
        return samples.reshape(-1, self._spec.channels)

    def close(self) -> None:
        """Stop reading."""
        self._closed = True
        if self._spec.target != STDIN:
            os.close(self._fd)


def _readable_bytes(fd: int) -> int:
    """Bytes that can be read without waiting.

    Raises:
        AudioError: the kernel cannot tell (``/dev/null``): it is neither a pipe nor a file.
    """
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode):  # the kernel's count has 32 bits: 4 GiB before the end of a file it says 0
        return max(0, status.st_size - os.lseek(fd, 0, os.SEEK_CUR))
    buffer = bytearray(4)
    try:
        fcntl.ioctl(fd, termios.FIONREAD, buffer)
    except OSError as error:
        raise AudioError(
            "raw PCM comes from a pipe or a file, and this is neither", fix="pipe sound into it"
        ) from error
    return int.from_bytes(buffer, sys.byteorder)


def _open(spec: SourceSpec) -> int:
    target = spec.target
    if target == STDIN:
        return 0
    if not Path(target).exists():
        if spec.reopens:
            raise AbsentDeviceError(f"{target}: no such file or FIFO", fix="make it with mkfifo")
        raise AudioError(f"{target}: no such file or FIFO", fix="make it with mkfifo before the daemon starts")
    try:
        return os.open(target, os.O_RDONLY | os.O_NONBLOCK)  # opens before the writer comes
    except OSError as error:
        raise DeviceError(f"{target}: cannot be opened ({error.strerror})") from error
