"""Is one clip fit for enrolment? Silent, clipped, stuck, torn, too short or too long: each with its reason.

What is refused can never be a reference. What is doubtful can be one, if the operator says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from edged.features.health import input_facts
from edged.flow import SAMPLE_RATE_HZ, Float32Array, Float64Array, InputFacts

Fault = Literal[
    "", "unreadable", "not numbers", "too short", "too long", "silent", "digital silence", "DC", "clipped", "torn",
    "wrong rate", "like an anomaly",
]  # fmt: skip

SILENCE_DBFS = -90.0
DEAD_SHARE = 0.5
DC_LEVEL = 0.25
CLIPPED_SHARE = 0.10
DOUBTFUL_CLIPPED_SHARE = 0.01
DOUBTFUL_BROKEN_SHARE = 0.05
FLAT_TOP_LEVEL = 0.05
"""Below this peak a signal has too few steps for "many samples at the peak" to mean clipping."""
FULL_BAND_HZ = SAMPLE_RATE_HZ / 2
NARROW_BAND_HZ = 6_000.0
"""Below this upper end a clip was recorded at 12 kHz or less."""
CLIFF_DB = 30.0
_N_FFT = 1024
_FRAMES_AT_ONCE = 512


@dataclass(frozen=True)
class ClipLimits:
    """Bounds on a clip.

    Attributes:
        min_s: shortest, in seconds; `max_s`: longest.
        allows_silence: whether most of it may be digital silence, as around a word.
    """

    min_s: float
    max_s: float
    allows_silence: bool = False


ANOMALY_CLIPS = ClipLimits(1.0, 600.0)
KEYWORD_CLIPS = ClipLimits(0.15, 10.0, allows_silence=True)


@dataclass(frozen=True)
class ClipFinding:
    """What a clip looks like.

    Attributes:
        fault: why it cannot be used; empty where it can.
        reason: the fault with its figure, for people.
        doubts: what an operator should look at before she uses it.
        band_edge_hz: above this there is nothing in it; `FULL_BAND_HZ` where it has all bands.
    """

    fault: Fault = ""
    reason: str = ""
    doubts: tuple[str, ...] = ()
    band_edge_hz: float = FULL_BAND_HZ


def examine(samples: Float32Array, limits: ClipLimits) -> ClipFinding:
    """Look at a clip.

    Args:
        samples: float32 (n_samples,), 16 kHz, finite.
    """
    duration_s = len(samples) / SAMPLE_RATE_HZ
    if duration_s < limits.min_s:
        return ClipFinding("too short", f"{duration_s * 1000:.0f} ms is shorter than {limits.min_s:g} s")
    if duration_s > limits.max_s:
        return ClipFinding("too long", f"{duration_s:.1f} s is longer than {limits.max_s:g} s")
    facts, clipped = input_facts(samples), clipped_share(samples)
    fault, reason = _fault(facts, clipped, limits)
    if fault:
        return ClipFinding(fault, reason)
    return ClipFinding("", "", tuple(_doubts(facts, clipped)), band_edge_hz(samples))


def _fault(facts: InputFacts, clipped: float, limits: ClipLimits) -> tuple[Fault, str]:
    if abs(facts.mean) >= DC_LEVEL:
        return "DC", f"stuck at a mean of {facts.mean:.2f} of full scale"
    if facts.level_dbfs < SILENCE_DBFS:
        return "silent", "silent"
    if facts.dead_share >= DEAD_SHARE and not limits.allows_silence:
        return "digital silence", f"{facts.dead_share:.0%} of it is digital silence"
    if clipped > CLIPPED_SHARE:
        return "clipped", f"clipped: {clipped:.0%} of the samples are at full scale"
    return "", ""


def _doubts(facts: InputFacts, clipped: float) -> list[str]:
    doubts = []
    if clipped > DOUBTFUL_CLIPPED_SHARE:
        doubts.append(f"{clipped:.0%} of the samples are at full scale")
    if facts.repeated_share >= DOUBTFUL_BROKEN_SHARE:
        doubts.append(f"torn: {facts.repeated_share:.0%} of it repeats what came right before, sample by sample")
    return doubts


def clipped_share(samples: Float32Array) -> float:
    """Share of samples at full scale, or at a flat top below it (clipped before it was turned down).

    >>> clipped_share(np.clip(np.sin(np.arange(16_000) * 0.1), -0.5, 0.5).astype(np.float32)) > 0.5
    True
    """
    level = np.abs(samples)
    peak = float(level.max())
    if peak < FLAT_TOP_LEVEL:
        return 0.0
    return float(np.mean(level >= min(0.999, 0.9995 * peak)))


def band_edge_hz(samples: Float32Array) -> float:
    """Where the spectrum ends in a cliff, as it does for what was recorded at a lower rate; `FULL_BAND_HZ` if nowhere.

    A cliff falls by `CLIFF_DB` within half a kilohertz, and nothing above it rises again: no machine sounds like that.

    Args:
        samples: float32 (n_samples,), 16 kHz.
    """
    level_db = _smooth_spectrum_db(samples)
    width_hz = FULL_BAND_HZ / len(level_db)
    highest_above = np.maximum.accumulate(level_db[: int(7_900 / width_hz)][::-1])[::-1]
    for edge_hz in np.arange(1_500.0, 7_250.0, 125.0):
        below = level_db[int((edge_hz - 750) / width_hz) : int((edge_hz - 250) / width_hz)]
        if np.median(below) - highest_above[int((edge_hz + 250) / width_hz)] >= CLIFF_DB:
            return float(edge_hz)
    return FULL_BAND_HZ


def _smooth_spectrum_db(samples: Float32Array) -> Float64Array:
    """Mean power in bands of 125 Hz, (64,), dB; the noise of 16 bits is the floor."""
    window = np.hanning(_N_FFT).astype(np.float32)
    padded = np.pad(samples, (0, -len(samples) % _N_FFT))
    frames = padded.reshape(-1, _N_FFT)
    power = np.zeros(_N_FFT // 2)
    for first in range(0, len(frames), _FRAMES_AT_ONCE):
        spectrum = np.fft.rfft(frames[first : first + _FRAMES_AT_ONCE] * window)[:, : _N_FFT // 2]
        power += np.square(np.abs(spectrum)).sum(axis=0)
    bands = (power / len(frames) / float(np.square(window).sum())).reshape(64, -1).mean(axis=1)
    return np.asarray(10.0 * np.log10(bands + 1e-10))
