"""Audio files of any rate and number of channels, block by block, so that no file fills the memory."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from edged.errors import AudioError
from edged.flow import SAMPLE_RATE_HZ, Float32Array

MAX_DURATION_S = 3600.0
MAX_CHANNELS = 64
MAX_RATE_HZ = 768_000
MAX_ABS_SAMPLE = 1e6
"""Beyond this a float is not sound (full scale is 1), as in the daemon."""

_BLOCK_SAMPLES = 1 << 20  # of all channels
_STREAMED_SIZES = (0, 0xFFFFFFFF)  # what writers put that did not know the length
_LISTED_CHUNKS = 64


def open_audio(path: Path, max_s: float = MAX_DURATION_S) -> sf.SoundFile:
    """A file, opened and checked; close it after use.

    Raises:
        AudioError: missing, no file, no audio, empty, truncated, or longer than `max_s`.
    """
    try:
        _check_riff(path)
        file = sf.SoundFile(os.fsencode(path))  # soundfile encodes text itself, but no name that is not UTF-8
    except (OSError, sf.LibsndfileError, TypeError) as error:
        raise AudioError(
            f"{path}: not readable as audio ({_reason(error)})", fix="convert it to WAV or FLAC"
        ) from error
    problem = _problem(file, max_s)
    if problem:
        file.close()
        raise AudioError(f"{path}: {problem[0]}", fix=problem[1])
    return file


def channel_blocks(file: sf.SoundFile, channel: int = 0, whole_frames: int = 1) -> Iterator[Float32Array]:
    """One channel of an open file: float32 (n,), each block but the last a multiple of `whole_frames` long.

    Raises:
        AudioError: no such channel, damaged, truncated.
    """
    if not 0 <= channel < file.channels:
        raise AudioError(f"{_name(file)}: has {file.channels} channels, no channel {channel}", fix="they count from 0")
    n_frames = max(1, _BLOCK_SAMPLES // file.channels // whole_frames) * whole_frames
    position = 0
    while True:
        try:
            block = file.read(n_frames, dtype="float32", always_2d=True)
        except sf.LibsndfileError as error:
            raise AudioError(f"{_name(file)}: damaged ({_reason(error)})", fix="record or copy it again") from error
        position += len(block)
        if len(block) == 0:
            break
        yield np.ascontiguousarray(block[:, channel])
    if position < file.frames:
        raise AudioError(f"{_name(file)}: truncated, {position} of {file.frames} frames", fix="record or copy it again")


def resampled(blocks: Iterator[Float32Array], rate_hz: int) -> Iterator[Float32Array]:
    """Blocks at 16 kHz, as the daemon converts them; at 16 kHz they pass bit for bit."""
    if rate_hz == SAMPLE_RATE_HZ:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def samples_at_16k(n_frames: int, rate_hz: int) -> int:
    """How many samples a file has once it is resampled, at most.

    >>> samples_at_16k(48_000, 48_000), samples_at_16k(1, 44_100)
    (16000, 1)
    """
    return -(-n_frames * SAMPLE_RATE_HZ // rate_hz)


def _name(file: sf.SoundFile) -> str:
    """The file's name for a message."""
    return os.fsdecode(file.name)


def _reason(error: Exception) -> str:
    """What went wrong, without the path, which the message begins with anyway."""
    return str(getattr(error, "error_string", None) or getattr(error, "strerror", None) or error).rstrip(".")


def _problem(file: sf.SoundFile, max_s: float) -> tuple[str, str] | None:
    """What is wrong and what to do about it."""
    if file.channels > MAX_CHANNELS or file.samplerate > MAX_RATE_HZ:
        return f"{file.channels} channels at {file.samplerate} Hz are too many", "convert it to 16 kHz mono"
    if file.frames <= 0:
        return "holds no samples", "record it again"
    if file.frames > max_s * file.samplerate:
        return f"longer than {max_s:g} s, or of unknown length", "cut it, or convert it to WAV"
    return None


def _check_riff(path: Path) -> None:
    """Refuse a WAV whose data chunk promises more bytes than the file has (libsndfile would silently read less)."""
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise AudioError(f"{path}: is no file", fix="leave it out")  # a pipe would be waited for
    size_bytes = state.st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return
        for _ in range(_LISTED_CHUNKS):
            chunk = file.read(8)
            if len(chunk) < 8:
                raise AudioError(f"{path}: truncated before its samples", fix="record or copy it again")
            name, length = struct.unpack("<4sI", chunk)
            present = size_bytes - file.tell()
            if name == b"data" and length not in _STREAMED_SIZES and length > present:
                raise AudioError(
                    f"{path}: truncated, {present} of {length} promised bytes", fix="record or copy it again"
                )
            if name == b"data":
                return
            file.seek(length + length % 2, 1)
