"""Audio files as a source: WAV, FLAC and whatever else libsndfile reads, at any rate, width and number of channels."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import soundfile

from edged.capture.framing import MAX_CHANNELS, MAX_RATE_HZ
from edged.capture.source import AudioFormat, DeviceBlock, SourceSpec
from edged.errors import AudioError
from edged.flow import Float32Array

_STREAMED_SIZE = 0xFFFFFFFF  # what writers put that did not know the length
_UNKNOWN_FRAMES = 1 << 60  # what libsndfile says of a FLAC that does not state its length
_LISTED_CHUNKS = 64
_MAX_LATE_S = 0.5


class FileSource:
    """A file, in real time, at a multiple of it, or as fast as it is taken; once or for ever.

    Args:
        spec: with ``target`` the path; ``rate_hz`` and ``channels`` are the file's own.
        now_s: monotonic seconds, for pacing.
        wait: called with seconds; returns True when the source is to stop.

    Raises:
        AudioError: if the file is missing, empty, truncated or not audio.
    """

    def __init__(
        self,
        spec: SourceSpec,
        now_s: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._spec = spec
        self._now_s = now_s
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._file = open_audio(Path(spec.target))
        self.format = AudioFormat(self._file.samplerate, self._file.channels)

    def blocks(self) -> Iterator[DeviceBlock]:
        """The file from ``start_frame`` on; a block is released when its last sample would have been recorded.

        Held back by who takes the blocks, it goes on at its speed: rushing to catch up would only hold them back more.
        """
        rate_hz = self.format.rate_hz
        due_s, sample = self._now_s(), self._spec.start_frame
        for frames in self._pieces(max(1, round(self._spec.block_s * rate_hz))):
            block = DeviceBlock(sample, frames, rate_hz)
            if self._spec.speed > 0:
                due_s = max(due_s + len(frames) / rate_hz / self._spec.speed, self._now_s() - _MAX_LATE_S)
                if self._wait(max(0.0, due_s - self._now_s())):
                    return
            yield block
            sample = block.end

    def _pieces(self, block_frames: int) -> Iterator[Float32Array]:
        """float32 (n_frames, channels) pieces; with ``loop`` without end."""
        promised = self._file.frames
        position = self._spec.start_frame % promised if self._spec.loop else min(self._spec.start_frame, promised)
        _seek(self._file, position, self._spec.target)
        while not self._closed.is_set():
            frames = _read(self._file, block_frames, self._spec.target)
            position += len(frames)
            if len(frames):
                yield frames
            elif position < promised:
                raise _truncated(Path(self._spec.target), promised, position)
            elif self._spec.loop:
                _seek(self._file, 0, self._spec.target)
                position = 0
            else:
                return

    def close(self) -> None:
        """Let the file go."""
        self._closed.set()
        self._file.close()


def open_audio(path: Path) -> soundfile.SoundFile:
    """An audio file, opened and checked.

    Raises:
        AudioError: if it is missing, not audio, empty or truncated.
    """
    try:
        if not path.is_file():
            raise AudioError(f"{path}: no such file", fix="check the path")
        _check_riff(path)
        file = soundfile.SoundFile(os.fsencode(path))  # bytes: a name need not be text
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise AudioError(f"{path}: cannot be read ({reason})", fix="check its owner and permissions") from error
    except (soundfile.LibsndfileError, TypeError) as error:
        raise AudioError(f"{path}: not readable as audio ({error})", fix="convert it to WAV or FLAC") from error
    if file.frames >= _UNKNOWN_FRAMES:  # libsndfile cannot seek in it, and reads by seeking
        file.close()
        raise AudioError(f"{path}: does not state its length, as what was written to a pipe", fix="convert it to WAV")
    if file.frames <= 0:
        file.close()
        raise AudioError(f"{path}: holds no samples", fix="record it again")
    if file.channels > MAX_CHANNELS or file.samplerate > MAX_RATE_HZ:
        file.close()
        raise AudioError(f"{path}: {file.channels} channels at {file.samplerate} Hz are too many")
    return file


def _read(file: soundfile.SoundFile, n_frames: int, name: str) -> Float32Array:
    try:
        frames: Float32Array = file.read(n_frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{name}: damaged ({error})", fix="record or copy it again") from error
    return frames


def _seek(file: soundfile.SoundFile, position: int, name: str) -> None:
    try:
        file.seek(position)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{name}: damaged ({error})", fix="record or copy it again") from error


def _truncated(path: Path, promised: int, present: int) -> AudioError:
    return AudioError(f"{path}: truncated, {present} of {promised} promised frames", fix="record or copy it again")


def _check_riff(path: Path) -> None:
    """Refuse a WAV whose data chunk promises more bytes than the file has (libsndfile would silently read less)."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return
        for _ in range(_LISTED_CHUNKS):
            chunk = file.read(8)
            if len(chunk) < 8:
                raise AudioError(f"{path}: truncated before its samples", fix="record or copy it again")
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                if length != _STREAMED_SIZE and file.tell() + length > size_bytes:
                    raise _truncated_bytes(path, length, size_bytes - file.tell())
                return
            file.seek(length + length % 2, 1)


def _truncated_bytes(path: Path, promised: int, present: int) -> AudioError:
    return AudioError(f"{path}: truncated, {present} of {promised} promised bytes", fix="record or copy it again")
