"""Readers of recorded keywords: a folder per word, Speech Commands, and files of many one-second clips."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from edged.errors import AudioError
from edged.flow import SAMPLE_RATE_HZ, Float32Array

SUFFIXES = (".wav", ".flac", ".ogg")


@dataclass(frozen=True)
class WordClip:
    """One recording of one word: float32 samples at 16 kHz; `phones` (index, start_s, end_s) when they are known."""

    word: str
    speaker: str
    samples: Float32Array
    phones: tuple[tuple[int, float, float], ...] = ()


def read_audio(path: Path) -> Float32Array:
    """The first channel of a file at 16 kHz.

    Raises:
        AudioError: it cannot be read or is empty.
    """
    try:
        samples, rate_hz = sf.read(path, dtype="float32", always_2d=True)
    except (OSError, sf.LibsndfileError) as error:
        raise AudioError(f"{path}: {error}", fix="convert it to WAV or FLAC") from error
    if len(samples) == 0:
        raise AudioError(f"{path}: holds no samples")
    mono = samples[:, 0]
    if rate_hz != SAMPLE_RATE_HZ:
        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
    return np.ascontiguousarray(mono, dtype=np.float32)


def read_word_folders(directory: Path) -> Iterator[WordClip]:
    """``directory/WORD/*.wav``: one folder per word (``--shots DIR``).

    Raises:
        AudioError: no folder holds audio.
    """
    found = False
    for path in sorted(directory.glob("*/*")):
        if path.suffix.lower() in SUFFIXES:
            found = True
            yield WordClip(path.parent.name, path.stem, read_audio(path))
    if not found:
        raise AudioError(f"{directory}: no WORD/*.wav below it", fix="make one folder per word")


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
    paths = [path for path in sorted(directory.rglob("*")) if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise AudioError(f"{directory}: holds no {', '.join(SUFFIXES)} files", fix="name a folder of recordings")
    return [read_audio(path) for path in paths]
