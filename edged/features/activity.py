"""Where in a clip the sound is: trims the silence (or steady noise) around an enrolled word."""

from __future__ import annotations

import numpy as np

from edged.flow import Float32Array

HOP_SAMPLES = 160
SILENCE_DB = -100.0
MIN_BURST_FRAMES = 3
MAX_PAUSE_FRAMES = 35
RANGE_DB = 30.0


def frame_power_db(samples: Float32Array) -> Float32Array:
    """Power of frames of 20 ms every 10 ms, float32 (n_frames,), dB of full scale."""
    n_frames = max(1, len(samples) // HOP_SAMPLES)
    padded = np.pad(samples, (0, max(0, (n_frames + 1) * HOP_SAMPLES - len(samples))))
    halves = np.square(padded[: (n_frames + 1) * HOP_SAMPLES]).reshape(n_frames + 1, HOP_SAMPLES).mean(axis=1)
    power = (halves[:-1] + halves[1:]) / 2.0
    return np.asarray(10.0 * np.log10(power + 10.0 ** (SILENCE_DB / 10.0)), dtype=np.float32)


def sound_span(samples: Float32Array) -> tuple[int, int] | None:
    """First and one-past-last sample of the loudest word-like stretch; None when nothing stands out of silence.

    A stretch is what lies above both the clip's peak - 30 dB and a quarter of the way from its noise floor to its peak;
    bursts under 30 ms are clicks, pauses under 0.35 s belong to the word.

    >>> tone = np.zeros(16_000, dtype=np.float32)
    >>> tone[4_000:9_600] = 0.1
    >>> sound_span(tone)
    (3840, 9600)
    """
    power_db = frame_power_db(samples)
    peak_db, floor_db = float(power_db.max()), float(np.percentile(power_db, 10))
    if peak_db < SILENCE_DB + 20.0:
        return None
    active = power_db > max(peak_db - RANGE_DB, floor_db + 0.25 * (peak_db - floor_db))
    runs = _merge([run for run in _runs(active) if run[1] - run[0] >= MIN_BURST_FRAMES])
    if not runs:
        return None
    energy = 10.0 ** (power_db / 10.0)
    start, end = max(runs, key=lambda run: float(energy[run[0] : run[1]].sum()))
    return start * HOP_SAMPLES, min(end * HOP_SAMPLES, len(samples))


def _runs(active: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _merge(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in runs:
        if merged and start - merged[-1][1] <= MAX_PAUSE_FRAMES:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged
