"""The clips an enrolment is made of: found, read, and refused with the reason when they cannot be used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edged.capture.files import read_clip
from edged.errors import AudioError, EnrolmentError
from edged.flow import SAMPLE_RATE_HZ, Float32Array

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".mp3", ".w64", ".rf64"})
MAX_FILES = 10_000
SILENCE_DBFS = -90.0
CLIPPED_SHARE = 0.01


@dataclass(frozen=True)
class ClipLimits:
    """Bounds on the length of a clip, in seconds."""

    min_s: float
    max_s: float


ANOMALY_CLIPS = ClipLimits(1.0, 600.0)
KEYWORD_CLIPS = ClipLimits(0.15, 10.0)


@dataclass(frozen=True)
class Clip:
    """One usable clip.

    Attributes:
        name: file name without its directory, for people.
        sha256: of the samples, so that a copy under another name is still the same clip.
        samples: float32 (n_samples,) at 16 kHz.
        doubts: what an operator may want to look at; does not prevent use.
    """

    name: str
    sha256: str
    samples: Float32Array
    doubts: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ


def clip_of_samples(name: str, samples: Float32Array, limits: ClipLimits) -> Clip:
    """A clip of samples that are in memory already.

    Raises:
        EnrolmentError: too short, too long or silent.
    """
    reason = _reason_against(samples, limits)
    if reason:
        raise EnrolmentError(f"{name}: {reason}")
    clipped = float(np.mean(np.abs(samples) >= 0.999))
    doubts = (f"{clipped:.0%} of the samples are at full scale",) if clipped > CLIPPED_SHARE else ()
    return Clip(name, hashlib.sha256(samples.tobytes()).hexdigest(), samples, doubts)


def find_audio(paths: Sequence[Path]) -> list[Path]:
    """Audio files among files and directories (searched through), sorted.

    Raises:
        EnrolmentError: a path is absent, or a directory holds no audio.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
            if not inside:
                raise EnrolmentError(f"{path}: holds no audio files", fix="name a directory with WAV or FLAC clips")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise EnrolmentError(f"{path}: no such file or directory", fix="check the path")
    if not found:
        raise EnrolmentError("no clips were named", fix="use --clips DIR or name files")
    if len(found) > MAX_FILES:
        raise EnrolmentError(f"{len(found)} files are more than {MAX_FILES}", fix="enrol a selection")
    return found


def read_clips(
    paths: Sequence[Path],
    limits: ClipLimits,
    *,
    channel: int = 0,
) -> tuple[list[Clip], list[str]]:
    """Read every clip, or refuse the lot with one line per clip that cannot be used.

    Returns:
        the clips, each recording once, and notes on what was passed over.

    Raises:
        EnrolmentError: at least one clip cannot be used; nothing is enrolled then.
    """
    clips: list[Clip] = []
    problems: list[str] = []
    for path in paths:
        try:
            clips.append(_read_clip(path, limits, channel))
        except (AudioError, EnrolmentError) as error:
            problems.append(str(error))
    if problems:
        listed = "\n  ".join(problems[:50])
        raise EnrolmentError(f"{len(problems)} of {len(paths)} clips refused, nothing enrolled:\n  {listed}")
    return unique_clips(clips)


def _read_clip(path: Path, limits: ClipLimits, channel: int) -> Clip:
    samples = read_clip(path, channel=channel, max_s=limits.max_s)
    reason = _reason_against(samples, limits)
    if reason:
        raise EnrolmentError(f"{path}: {reason}")
    return clip_of_samples(path.name, samples, limits)


def _reason_against(samples: Float32Array, limits: ClipLimits) -> str:
    duration_s = len(samples) / SAMPLE_RATE_HZ
    if duration_s < limits.min_s:
        return f"{duration_s * 1000:.0f} ms is shorter than {limits.min_s:g} s"
    if duration_s > limits.max_s:
        return f"{duration_s:.1f} s is longer than {limits.max_s:g} s"
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    if level < 10 ** (SILENCE_DBFS / 20):
        return "silent"
    return ""


def unique_clips(clips: Sequence[Clip]) -> tuple[list[Clip], list[str]]:
    """Each recording once, and a note for every copy left out."""
    first: dict[str, Clip] = {}
    notes = []
    for clip in clips:
        if clip.sha256 in first:
            notes.append(f"{clip.name}: passed over, the same recording as {first[clip.sha256].name}")
        first.setdefault(clip.sha256, clip)
    return list(first.values()), notes
