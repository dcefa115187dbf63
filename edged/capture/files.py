"""Audio files in this process, as the same blocks that a live stream would see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edged.capture.convert import ChannelConverter, stream_index
from edged.capture.source import SourceSpec
from edged.capture.wavfile import FileSource, open_audio
from edged.errors import AudioError
from edged.flow import SAMPLE_RATE_HZ, Block, Float32Array


def blocks_of_file(path: Path | str, *, channel: int = 0, block_s: float = 0.5) -> Iterator[Block]:
    """One channel of an audio file as 16 kHz mono blocks, beginning at sample 0.

    Samples that are not numbers are declared lost by the ``lost_before`` of the block after them.

    Raises:
        AudioError: if the file is missing, not audio, empty or truncated, or has no such channel.
    """
    for blocks in blocks_of_channels(path, [channel], block_s=block_s):
        yield from blocks[0]


def blocks_of_channels(
    path: Path | str, channels: Sequence[int], *, block_s: float = 0.5
) -> Iterator[tuple[list[Block], ...]]:
    """Several channels of an audio file side by side: at every step the blocks of each that are ready.

    Raises:
        AudioError: as :func:`blocks_of_file`.
    """
    source = FileSource(SourceSpec("file", str(path), speed=0.0, block_s=block_s))
    converters = [ChannelConverter(channel) for channel in channels]
    try:
        for block in source.blocks():
            yield tuple(converter.push(block) for converter in converters)
        yield tuple(converter.flush() for converter in converters)
    finally:
        source.close()


def channel_count(path: Path | str) -> int:
    """How many channels an audio file has.

    Raises:
        AudioError: if it is missing, not audio, empty or truncated.
    """
    with open_audio(Path(path)) as audio:
        return int(audio.channels)


def duration_samples(path: Path | str) -> int:
    """How many samples at 16 kHz an audio file holds by its header.

    Raises:
        AudioError: if it is missing, not audio, empty or truncated.
    """
    with open_audio(Path(path)) as audio:
        return stream_index(audio.frames, audio.samplerate)


def read_clip(path: Path | str, *, channel: int = 0, max_s: float = 3600.0) -> Float32Array:
    """A whole clip: float32 (n_samples,), 16 kHz mono.

    Raises:
        AudioError: as :func:`blocks_of_file`; also if samples are not numbers, or it is longer than ``max_s``.
    """
    with open_audio(Path(path)) as audio:  # the header is enough to refuse what would not fit into memory
        duration_s = audio.frames / audio.samplerate
        n_expected = stream_index(audio.frames, audio.samplerate)
        n_spare = 0 if audio.samplerate == SAMPLE_RATE_HZ else 1  # a resampler may end one sample sooner
    if duration_s > max_s:
        raise AudioError(f"{path}: {duration_s:.1f} s is longer than {max_s:g} s", fix="cut it")
    blocks: list[Block] = []
    n_samples = 0
    for block in blocks_of_file(path, channel=channel):
        blocks.append(block)
        n_samples += len(block.samples)
        if n_samples > max_s * SAMPLE_RATE_HZ + 1:  # the header promised less than there is
            raise AudioError(f"{path}: longer than {max_s:g} s", fix="cut it")
    if not n_samples or n_samples + n_spare < n_expected:
        raise AudioError(f"{path}: holds samples that are not numbers", fix="record or convert it again")
    return np.concatenate([block.samples for block in blocks])
