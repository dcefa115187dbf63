"""Statistics over time of a log-mel spectrogram: what a machine sounds like without any training (thesis 3.4.6).

With 10 to 60 normal clips they are hard to beat: the mean describes the tone, low percentiles the machine under passing
noises, high percentiles and the maximum its strikes, the spread and the change from frame to frame its liveliness.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from edged.flow import Float32Array

Statistic = Literal["mean", "std", "p5", "p25", "p50", "p75", "p95", "max", "change"]

_DECIBEL_PER_NEPER = np.float32(10.0 / np.log(10.0))


def log_mel(power: Float32Array, mel_weights: Float32Array, floor_db: float) -> Float32Array:
    """Log-mel spectrogram.

    Args:
        power: float32 (n_frames, n_bins), power relative to the segment's level.
        mel_weights: float32 (n_mels, n_bins).
        floor_db: added as power, so that digital silence stays finite and quantisation noise unimportant.

    Returns:
        float32 (n_frames, n_mels), dB.
    """
    floor = np.float32(10.0 ** (floor_db / 10.0))
    result: Float32Array = _DECIBEL_PER_NEPER * np.log(power @ mel_weights.T + floor)
    return result


def _statistic(frames_db: Float32Array, name: str) -> Float32Array:
    """One statistic over time other than a percentile: (n_frames, n_bands) -> (n_bands,)."""
    match name:
        case "mean":
            value = frames_db.mean(axis=0)
        case "std":
            value = frames_db.std(axis=0)
        case "max":
            value = frames_db.max(axis=0)
        case "change":
            value = np.diff(frames_db, axis=0).std(axis=0)
        case _:
            raise ValueError(f"no statistic '{name}'")
    return np.asarray(value, np.float32)


def _percentiles(frames_db: Float32Array, names: Sequence[str]) -> dict[str, Float32Array]:
    """The percentiles among the names, by name, from one sorting: (n_frames, n_bands) -> (n_bands,) each."""
    wanted = [name for name in names if name.startswith("p")]
    if not wanted:
        return {}
    values = np.percentile(frames_db, [int(name.removeprefix("p")) for name in wanted], axis=0)
    return dict(zip(wanted, np.asarray(values, np.float32), strict=True))


def statistics_vector(frames_db: Float32Array, names: Sequence[Statistic]) -> Float32Array:
    """The named statistics, one after another: (n_frames, n_bands) -> float32 (len(names) * n_bands,).

    >>> statistics_vector(np.array([[0.0], [2.0]], np.float32), ("mean", "std", "max")).tolist()
    [1.0, 1.0, 2.0]
    """
    values = _percentiles(frames_db, names)
    return np.concatenate([values[name] if name in values else _statistic(frames_db, name) for name in names])
