"""Readers of recorded keywords: a folder per word, Speech Commands, and files of many one-second clips."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edged.errors import AudioError
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.data.clips import read_recording
from trainer.data.file_tree import files_below

SUFFIXES = (".wav", ".flac", ".ogg")
LONGEST_S = 6 * 3600.0
"""Of a background recording: 1.4 GB of samples."""


@dataclass(frozen=True)
class WordClip:
    """One recording of one word: float32 samples at 16 kHz; `phones` (index, start_s, end_s) when they are known."""

    word: str
    speaker: str
    samples: Float32Array
    phones: tuple[tuple[int, float, float], ...] = ()


def read_audio(path: Path) -> Float32Array:
    """The first channel of a file at 16 kHz, as the daemon hears it.

    Raises:
        AudioError: unreadable, empty, truncated, longer than an hour, or with samples that are not numbers.
    """
    return read_recording(path)


def read_word_folders(directory: Path) -> Iterator[WordClip]:
    """``directory/WORD/*.wav``: one folder per word (``--shots DIR``).

    Raises:
        AudioError: no folder holds audio.
    """
    paths = [path for path in sorted(directory.glob("*/*")) if _is_shot(path)]
    for path in paths:
        yield WordClip(path.parent.name, path.stem, read_audio(path))
    if not paths:
        raise AudioError(f"{directory}: no WORD/*.wav below it", fix="make one folder per word")


def _is_shot(path: Path) -> bool:
    """Whether it is audio that somebody put there, unlike the ``._`` files of macOS archives."""
    hidden = path.name.startswith(".") or path.parent.name.startswith(".")
    return path.suffix.lower() in SUFFIXES and not hidden


def read_speech_commands(directory: Path) -> Iterator[WordClip]:
    """Speech Commands: a folder per word; files of ``_unknown_`` begin with their word."""
    for clip in read_word_folders(directory):
        word = clip.speaker.split("_")[0] if clip.word == "_unknown_" else clip.word
        yield WordClip(f"en-{word}", clip.speaker.split("_nohash_")[0].split("_")[-1], clip.samples)


def read_indexed_clips(directory: Path, language: str) -> Iterator[WordClip]:
    """One file per speaker and ``index.json`` with [word, take, first sample] of its one-second clips."""
    index = json.loads((directory / "index.json").read_text())
    for name, clips in sorted(index.items()):
        samples = read_audio(directory / name)
        for word, _, start in clips:
            clip = samples[start : start + SAMPLE_RATE_HZ]
            yield WordClip(f"{language}-{word}", Path(name).stem, clip)


def read_recordings(directory: Path) -> list[Float32Array]:
    """All recordings below a directory, in order.

    Raises:
        AudioError: there are none, or one cannot be read.
    """
    paths = [path for path in files_below(directory) if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise AudioError(f"{directory}: holds no {', '.join(SUFFIXES)} files", fix="name a folder of recordings")
    return [read_recording(path, max_s=LONGEST_S) for path in paths]
