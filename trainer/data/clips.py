"""Clips of the data pack as the anomaly experiments need them: read, brought to one level, mixed with noise."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import soundfile as sf

from edged.errors import AudioError
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.data.audio_file import (
    MAX_ABS_SAMPLE,
    MAX_DURATION_S,
    channel_blocks,
    open_audio,
    resampled,
    samples_at_16k,
)

LEVEL_RMS = 0.03
NOT_FOR_TRAINING = ("rooster__1-40730-A", "rooster__2-96460-A")
"""Clips of ESC-10 whose licence (CC Sampling+) keeps them out of anything shipped."""


def data_directory() -> Path:
    """`$EDGED_DATA`, by default `../shared/data` beside the repository."""
    return Path(os.environ.get("EDGED_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")


def read_clip(path: Path) -> Float32Array:
    """A mono clip at 16 kHz: float32 (n_samples,).

    Raises:
        AudioError: unreadable, or of another rate or channel count.
    """
    try:
        samples, rate_hz = sf.read(os.fsencode(path), dtype="float32")
    except (OSError, sf.LibsndfileError) as error:
        raise AudioError(f"{path}: {error}") from error
    if rate_hz != SAMPLE_RATE_HZ or samples.ndim != 1:
        raise AudioError(f"{path}: {rate_hz} Hz, {samples.ndim} dimensions", fix="convert it to 16 kHz mono")
    return np.asarray(samples, np.float32)


def read_recording(path: Path, channel: int = 0, max_s: float = MAX_DURATION_S) -> Float32Array:
    """One channel of a recording of any rate, at 16 kHz: float32 (n_samples,).

    Raises:
        AudioError: unreadable, empty, truncated, longer than `max_s`, or with samples that are not numbers.
    """
    with open_audio(path, max_s) as file:
        n_samples = samples_at_16k(file.frames, file.samplerate)
        samples = np.concatenate(list(resampled(channel_blocks(file, channel), file.samplerate)))[:n_samples]
    if not len(samples):
        raise AudioError(f"{path}: holds no samples at 16 kHz", fix="record it again")
    if not (np.abs(samples) <= MAX_ABS_SAMPLE).all():
        raise AudioError(f"{path}: holds samples that are not numbers", fix="record or convert it again")
    return samples


def recording_samples(path: Path) -> int:
    """How long `read_recording`'s result is at most, from the header alone.

    Raises:
        AudioError: see `read_recording`.
    """
    with open_audio(path) as file:
        return samples_at_16k(file.frames, file.samplerate)


def rms(samples: Float32Array) -> float:
    """Root mean square of a clip."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def at_level(samples: Float32Array, level: float = LEVEL_RMS) -> Float32Array:
    """The clip at a fixed RMS, so that loudness gives nothing away; silence stays silent."""
    own = rms(samples)
    return (samples * np.float32(level / own)).astype(np.float32) if own > 1e-9 else samples


def read_tree(directory: Path, pattern: str = "**/*.flac") -> list[Float32Array]:
    """All clips below a directory, sorted by name."""
    return [read_clip(path) for path in sorted(directory.glob(pattern))]


def esc10_clips(directory: Path, folds: str = "12345") -> list[Float32Array]:
    """Audible clips of ESC-10's given folds, without the two whose licence forbids shipping."""
    paths = [p for p in sorted(directory.glob("*.ogg")) if p.name.split("__")[1][0] in folds]
    clips = [read_clip(p) for p in paths if p.stem not in NOT_FOR_TRAINING]
    return [clip for clip in clips if rms(clip) > 1e-4]


def mixed(samples: Float32Array, noise: Float32Array, snr_db: float) -> Float32Array:
    """Clip and noise at a signal-to-noise ratio, the sum at the common level."""
    return at_level(at_level(samples) + np.float32(10.0 ** (-snr_db / 20.0)) * at_level(noise))
