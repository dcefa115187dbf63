"""Is a stretch of samples sound at all? What is measured of it, and what is then wrong with the input.

A dead, stuck, overdriven or torn input sounds unlike any machine, so a monitor would call it an anomaly. What is judged
here first never gets that far. Some of it can only be told against what was enrolled: how quiet a deaf microphone is,
how loud its hiss, and whether pauses of digital silence are this input's ordinary ones.

A machine that is merely louder, quieter within bounds, or has a new tone is healthy input: that is for the score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float32Array, InputFacts, InputRange

InputState = Literal["ok", "flat", "dc", "clipping", "deaf", "dropouts", "hiss"]

SILENCE_DBFS = -120.0
FULL_SCALE = 0.99
DEAD_SAMPLES = 80
DEAD_RANGE = 2e-5  # a bit of 16 is 3e-5
REPEAT_SAMPLES = 320
REPEAT_LOOK_BACK = 25
REPEAT_LEVEL = 1e-4
MAX_REPEAT_CHECKS = 1000  # few-valued signals have many equal peaks; live sound has hardly any
COLOUR_LAGS = 8


@dataclass(frozen=True, slots=True)
class InputLimits:
    """What an input may be like and still be judged.

    Attributes:
        dc_level: mean of a stuck input, of full scale.
        flat_share: share of dead time from which on the input is flat rather than torn.
        clipped_share: of samples at full scale, beyond what was enrolled.
        broken_share: of dead or repeated time, beyond what was enrolled.
        deaf_below_db: that far below the quietest enrolled sound nothing of the machine is heard; None = not looked at.
        hiss_beyond_db: noise without colour that far above the loudest or below the quietest enrolled sound is the
            input's own; None = not looked at.
        white_colour: `InputFacts.colour` below which noise has no colour.
    """

    dc_level: float = 0.25
    flat_share: float = 0.5
    clipped_share: float = 0.01
    broken_share: float = 0.005
    deaf_below_db: float | None = 40.0
    hiss_beyond_db: float | None = 15.0
    white_colour: float = 0.2


@dataclass(frozen=True, slots=True)
class InputVerdict:
    """What is wrong with an input, and the figure it rests on, for people."""

    state: InputState
    reason: str

    @property
    def is_ok(self) -> bool:
        """Whether what was heard may be judged."""
        return self.state == "ok"


def input_facts(samples: Float32Array) -> InputFacts:
    """Measure a stretch of samples.

    Args:
        samples: float32 (n_samples,), full scale = +-1, finite, not empty.

    >>> input_facts(np.zeros(16_000, np.float32)).dead_share
    1.0
    """
    mean = float(samples.mean(dtype=np.float64))
    centred = samples - np.float32(mean)
    power = float(np.dot(centred, centred)) / len(samples)
    return InputFacts(
        level_dbfs=max(SILENCE_DBFS, 10.0 * math.log10(max(power, 1e-12))),
        mean=mean,
        clipped_share=float(np.count_nonzero(np.abs(samples) >= FULL_SCALE) / len(samples)),
        dead_share=_dead_share(samples),
        repeated_share=_repeated_share(centred, FULL_SCALE - abs(mean)),
        colour=_colour(centred, power * len(samples)),
    )


def input_verdict(facts: InputFacts, enrolled: InputRange | None, limits: InputLimits | None = None) -> InputVerdict:
    """What is wrong with the input that was measured, the gravest first.

    Args:
        enrolled: what the enrolled sound was like; None = not known, and what needs it is not looked at.
    """
    limits = limits or InputLimits()
    usual_broken = enrolled.broken_share if enrolled else 0.0
    usual_clipped = enrolled.clipped_share if enrolled else 0.0
    level = f"level {facts.level_dbfs:.0f} dBFS"
    if enrolled:
        level += f" where {enrolled.quietest_dbfs:.0f} to {enrolled.loudest_dbfs:.0f} dBFS were enrolled"
    findings: tuple[tuple[InputState, bool, str], ...] = (
        ("flat", facts.dead_share >= max(limits.flat_share, 2.0 * usual_broken), f"constant at {facts.mean:.4f}"),
        ("dc", abs(facts.mean) >= limits.dc_level, f"mean at {facts.mean:.2f} of full scale"),
        (
            "clipping",
            facts.clipped_share >= limits.clipped_share + 2.0 * usual_clipped,
            f"{facts.clipped_share:.1%} of the samples at full scale",
        ),
        ("deaf", _is_below(facts, enrolled, limits.deaf_below_db), level),
        (
            "dropouts",
            facts.broken_share >= limits.broken_share + 2.0 * usual_broken,
            f"{facts.broken_share:.1%} of the time missing or repeated",
        ),
        ("hiss", _is_hiss(facts, enrolled, limits), f"noise without colour, {level}"),
    )
    wrong = (InputVerdict(state, reason) for state, holds, reason in findings if holds)
    return next(wrong, InputVerdict("ok", level))


def _is_below(facts: InputFacts, enrolled: InputRange | None, far_db: float | None) -> bool:
    return enrolled is not None and far_db is not None and facts.level_dbfs < enrolled.quietest_dbfs - far_db


def _is_hiss(facts: InputFacts, enrolled: InputRange | None, limits: InputLimits) -> bool:
    """Noise of the input itself; where the machine's own sound is as white, it cannot be told from it."""
    far_db = limits.hiss_beyond_db
    if enrolled is None or far_db is None or enrolled.colour < 1.5 * limits.white_colour:
        return False
    is_far = facts.level_dbfs > enrolled.loudest_dbfs + far_db or _is_below(facts, enrolled, far_db)
    return is_far and facts.colour < limits.white_colour


def _dead_share(samples: Float32Array) -> float:
    """Share of pieces of 5 ms that are constant, not counting those stuck at full scale."""
    pieces = _pieces(samples, DEAD_SAMPLES)
    maybe = pieces[_is_dead(pieces[:, :: DEAD_SAMPLES // 4])]  # four samples rule out nearly every piece of live sound
    return float(np.count_nonzero(_is_dead(maybe)) / len(pieces))


def _is_dead(pieces: NDArray[np.float32]) -> NDArray[np.bool_]:
    low, high = pieces.min(axis=1, initial=np.inf), pieces.max(axis=1, initial=-np.inf)
    dead: NDArray[np.bool_] = (high - low <= DEAD_RANGE) & (high < FULL_SCALE) & (low > -FULL_SCALE)
    return dead


def _repeated_share(centred: Float32Array, highest: float) -> float:
    """Share of pieces of 20 ms whose surroundings were heard before, bit for bit, within half a second.

    Sound never repeats itself exactly, a driver that delivers a buffer again does. Every piece is found again by its
    highest peak, so the length of the buffer need not be known. Peaks at `highest` are clipped, and all alike.
    """
    pieces = _pieces(centred, REPEAT_SAMPLES)
    peaks = np.abs(pieces).argmax(axis=1) + np.arange(len(pieces)) * pieces.shape[1]
    values = centred[peaks]
    is_telling = (np.abs(values) > REPEAT_LEVEL) & (np.abs(values) < highest)
    repeated = np.zeros(len(pieces), np.bool_)
    n_checks = 0
    for lag in range(1, min(REPEAT_LOOK_BACK, len(pieces) - 1) + 1):
        alike = (values[lag:] == values[:-lag]) & is_telling[lag:] & ~repeated[lag:]
        for piece in (np.flatnonzero(alike) + lag)[: MAX_REPEAT_CHECKS - n_checks]:
            repeated[piece] = _is_repeat(centred, int(peaks[piece - lag]), int(peaks[piece]))
            n_checks += 1
    return float(np.mean(repeated))


def _is_repeat(centred: Float32Array, earlier: int, later: int) -> bool:
    """Whether the 20 ms around two peaks are the same."""
    half = REPEAT_SAMPLES // 2
    first = centred[max(earlier - half, 0) : earlier + half]
    again = centred[max(later - half, 0) : later + half]
    return len(first) == REPEAT_SAMPLES and np.array_equal(first, again)


def _colour(centred: Float32Array, energy: float) -> float:
    """Largest autocorrelation of neighbouring samples: 0 for white noise, towards 1 for hum and rumble."""
    lags = range(1, min(COLOUR_LAGS, len(centred) - 1) + 1)
    products = [abs(float(np.dot(centred[lag:], centred[:-lag]))) for lag in lags]
    return max(products, default=0.0) / energy if energy > 0.0 else 0.0


def _pieces(samples: Float32Array, length: int) -> NDArray[np.float32]:
    """Float32 (n_pieces, length); a rest is left out, a stretch shorter than one piece is one piece."""
    if len(samples) < length:
        return samples[np.newaxis, :]
    return samples[: len(samples) // length * length].reshape(-1, length)
