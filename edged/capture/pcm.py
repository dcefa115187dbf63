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

from edged.capture.source import AudioFormat, DeviceBlock, SourceSpec
from edged.errors import AudioError, DeviceError
from edged.flow import Float32Array

STDIN = "-"
_BYTES = {"s16le": 2, "f32le": 4}
_POLL_MS = 200
_HALF_FRAME_WAIT_S = 0.001


class PcmSource:
    """Interleaved samples without header. Only whole frames are ever read, so channels never shift.

    Args:
        spec: with rate, channels and sample format.

    Raises:
        AudioError: if the path is not there.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self._spec = spec
        self._closed = False
        self._fd = _open(spec.target)
        self.format = AudioFormat(spec.rate_hz, spec.channels)

    def blocks(self) -> Iterator[DeviceBlock]:
        """Samples as they come, at most ``block_s`` at once, until the writer closes (half a frame is dropped then)."""
        frame_bytes = _BYTES[self._spec.sample_format] * self._spec.channels
        block_bytes = frame_bytes * max(1, round(self._spec.block_s * self._spec.rate_hz))
        sample = self._spec.start_frame
        while data := self._whole_frames(frame_bytes, block_bytes):
            block = DeviceBlock(sample, self._decode(data), self._spec.rate_hz)
            yield block
            sample = block.end

    def _whole_frames(self, frame_bytes: int, block_bytes: int) -> bytes:
        """What there is in whole frames; empty at the end.

        Half a frame stays in the pipe: if this child is killed, the next one finds the channels in their places.
        """
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        while not self._closed:
            ready = poller.poll(_POLL_MS)
            if not ready:
                continue
            available = _readable_bytes(self._fd)
            whole = min(block_bytes, available - available % frame_bytes)
            if whole or available == 0 or ready[0][1] & select.POLLHUP:
                return os.read(self._fd, whole) if whole else b""
            time.sleep(_HALF_FRAME_WAIT_S)
        return b""

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


def _open(target: str) -> int:
    if target == STDIN:
        return 0
    if not Path(target).exists():
        raise AudioError(f"{target}: no such file or FIFO", fix="make it with mkfifo before the daemon starts")
    try:
        return os.open(target, os.O_RDONLY | os.O_NONBLOCK)  # opens before the writer comes
    except OSError as error:
        raise DeviceError(f"{target}: cannot be opened ({error.strerror})") from error
