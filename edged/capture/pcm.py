"""Raw PCM from standard input or a FIFO as a source: ``arecord -t raw ... | edged run``."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edged.capture.source import AudioFormat, DeviceBlock, SourceSpec
from edged.errors import AudioError, DeviceError
from edged.flow import Float32Array

STDIN = "-"
_BYTES = {"s16le": 2, "f32le": 4}
_POLL_S = 0.2


class PcmSource:
    """Interleaved samples without header. An odd read is completed by the next one, so channels never shift.

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
        sample, pending = self._spec.start_frame, b""
        while not self._closed:
            if not select.select([self._fd], [], [], _POLL_S)[0]:
                continue
            chunk = os.read(self._fd, block_bytes - len(pending))
            if not chunk:
                return
            pending += chunk
            whole = len(pending) - len(pending) % frame_bytes
            if whole:
                block = DeviceBlock(sample, self._decode(pending[:whole]), self._spec.rate_hz)
                pending, sample = pending[whole:], block.end
                yield block

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


def _open(target: str) -> int:
    if target == STDIN:
        return 0
    if not Path(target).exists():
        raise AudioError(f"{target}: no such file or FIFO", fix="make it with mkfifo before the daemon starts")
    try:
        return os.open(target, os.O_RDONLY | os.O_NONBLOCK)  # opens before the writer comes
    except OSError as error:
        raise DeviceError(f"{target}: cannot be opened ({error.strerror})") from error
