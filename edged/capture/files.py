"""Audio files in this process, as the same blocks that a live stream would see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edged.capture.convert import ChannelConverter
from edged.capture.source import SourceSpec
from edged.capture.wavfile import FileSource
from edged.errors import AudioError
from edged.flow import SAMPLE_RATE_HZ, Block, Float32Array


def blocks_of_file(path: Path | str, *, channel: int = 0, block_s: float = 0.5) -> Iterator[Block]:
    """One channel of an audio file as 16 kHz mono blocks, beginning at sample 0.

    Samples that are not numbers are declared lost by the ``lost_before`` of the block after them.

    Raises:
        AudioError: if the file is missing, not audio, empty or truncated, or has no such channel.
    """
    source = FileSource(SourceSpec("file", str(path), speed=0.0, block_s=block_s))
    converter = ChannelConverter(channel)
    try:
        for block in source.blocks():
            yield from converter.push(block)
        yield from converter.flush()
    finally:
        source.close()


def read_clip(path: Path | str, *, channel: int = 0, max_s: float = 3600.0) -> Float32Array:
    """A whole clip: float32 (n_samples,), 16 kHz mono.

    Raises:
        AudioError: as :func:`blocks_of_file`; also if samples are not numbers, or it is longer than ``max_s``.
    """
    pieces: list[Float32Array] = []
    n_samples = 0
    for block in blocks_of_file(path, channel=channel):
        if block.sample != n_samples:
            raise AudioError(f"{path}: holds samples that are not numbers", fix="record or convert it again")
        pieces.append(block.samples)
        n_samples = block.end
        if n_samples > max_s * SAMPLE_RATE_HZ:
            raise AudioError(f"{path}: longer than {max_s:g} s", fix="cut it")
    if not pieces:
        raise AudioError(f"{path}: holds no sound", fix="record or convert it again")
    return np.concatenate(pieces)
