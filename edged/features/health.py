"""Is a stretch of samples sound at all? What is measured of it, and what is then wrong with the input.

A dead, stuck, overdriven or torn input sounds unlike any machine, so a monitor would call it an anomaly. What is judged
here first never gets that far. Some of it can only be told against what was enrolled: how quiet a deaf microphone is,
how loud its hiss, and whether pauses of digital silence are this input's ordinary ones.

A machine that is merely louder, quieter within bounds, or has a new tone is healthy input: that is for the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float32Array, Float64Array, InputFacts, InputRange

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
PIECE_SAMPLES = 1000
MAX_RUN_PIECES = 8


@dataclass(frozen=True, slots=True)
class InputLimits:
    """What an input may be like and still be judged.

    Attributes:
        dc_level: mean of a stuck input, of full scale. Like the levels it must hold for half a second, in stretches
            below 4 s for an eighth of them: a pause is not deaf, and a knock does not hiss.
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
    pieces = _pieces(samples, PIECE_SAMPLES)
    means = pieces.mean(axis=1)
    centred = pieces - means[:, np.newaxis]
    powers = np.einsum("ps,ps->p", centred, centred) / pieces.shape[1]
    lagged = _lagged_powers(centred)
    return InputFacts(
        level_dbfs=float(_dbfs(powers.mean())),
        clipped_share=float(np.count_nonzero(np.abs(samples) >= FULL_SCALE) / len(samples)),
        dead_share=_dead_share(samples),
        repeated_share=_repeated_share(samples, np.float32(means.mean())),
        colour=float(_colour(lagged.sum(axis=1), powers.sum())),
        levels_dbfs=tuple(_dbfs(powers).tolist()),
        means=tuple(means.tolist()),
        colours=tuple(_colour(lagged, powers).tolist()),
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
    means, levels = np.asarray(facts.means), np.asarray(facts.levels_dbfs)
    furthest = float(means[np.abs(means).argmax()])
    findings: tuple[tuple[InputState, bool, str], ...] = (
        ("flat", facts.dead_share >= max(limits.flat_share, 2.0 * usual_broken), f"constant at {facts.mean:.4f}"),
        ("dc", _lasts(np.abs(means) >= limits.dc_level), f"mean at {furthest:.2f} of full scale"),
        (
            "clipping",
            facts.clipped_share >= limits.clipped_share + 2.0 * usual_clipped,
            f"{facts.clipped_share:.1%} of the samples at full scale",
        ),
        (
            "dropouts",
            facts.broken_share >= limits.broken_share + 2.0 * usual_broken,
            f"{facts.broken_share:.1%} of the time missing or repeated",
        ),
        ("deaf", _lasts(_is_below(levels, enrolled, limits.deaf_below_db)), level),
        ("hiss", _lasts(_is_hiss(facts, levels, enrolled, limits)), f"noise without colour, {level}"),
    )
    wrong = (InputVerdict(state, reason) for state, holds, reason in findings if holds)
    return next(wrong, InputVerdict("ok", level))


def _is_below(levels: Float64Array, enrolled: InputRange | None, far_db: float | None) -> NDArray[np.bool_]:
    if enrolled is None or far_db is None:
        return np.zeros(len(levels), np.bool_)
    return np.asarray(levels < enrolled.quietest_dbfs - far_db)


def _is_hiss(
    facts: InputFacts, levels: Float64Array, enrolled: InputRange | None, limits: InputLimits
) -> NDArray[np.bool_]:
    """Pieces with noise of the input itself; where the machine's own sound is as white, it cannot be told from it."""
    far_db = limits.hiss_beyond_db
    if enrolled is None or far_db is None or enrolled.colour < 1.5 * limits.white_colour:
        return np.zeros(len(levels), np.bool_)
    is_far = (levels > enrolled.loudest_dbfs + far_db) | _is_below(levels, enrolled, far_db)
    return is_far & (np.asarray(facts.colours) < limits.white_colour)


def _lasts(pieces: NDArray[np.bool_]) -> bool:
    """Whether something holds for long enough without a break, (n_pieces,)."""
    if not pieces.any():
        return False
    length = max(1, min(MAX_RUN_PIECES, len(pieces) // 8))
    runs = np.convolve(pieces, np.ones(length, np.int64))
    return bool(runs.max() >= length)


def _dead_share(samples: Float32Array) -> float:
    """Share of pieces of 5 ms that are constant, not counting those stuck at full scale."""
    pieces = _pieces(samples, DEAD_SAMPLES)
    few = pieces[:, :: DEAD_SAMPLES // 4].T.copy()  # four samples rule out nearly every piece of live sound
    maybe = pieces[few.max(axis=0) - few.min(axis=0) <= DEAD_RANGE]
    return float(np.count_nonzero(_is_dead(maybe)) / len(pieces))


def _is_dead(pieces: NDArray[np.float32]) -> NDArray[np.bool_]:
    low, high = pieces.min(axis=1, initial=np.inf), pieces.max(axis=1, initial=-np.inf)
    dead: NDArray[np.bool_] = (high - low <= DEAD_RANGE) & (high < FULL_SCALE) & (low > -FULL_SCALE)
    return dead


def _repeated_share(samples: Float32Array, mean: np.float32) -> float:
    """Share of pieces of 20 ms whose surroundings were heard before, bit for bit, within half a second.

    Sound never repeats itself exactly, a driver that delivers a buffer again does. Every piece is found again by its
    highest peak, so the length of the buffer need not be known. Peaks at full scale are all alike.
    """
    pieces = _pieces(samples, REPEAT_SAMPLES)
    peaks = np.abs(pieces - mean).argmax(axis=1) + np.arange(len(pieces)) * pieces.shape[1]
    values = samples[peaks]
    if _all_differ(values):
        return 0.0
    is_telling = (np.abs(values - mean) > REPEAT_LEVEL) & (np.abs(values) < FULL_SCALE) & ~_is_dead(pieces)
    repeated = np.zeros(len(pieces), np.bool_)
    n_checks = 0
    for lag in range(1, min(REPEAT_LOOK_BACK, len(pieces) - 1) + 1):
        alike = (values[lag:] == values[:-lag]) & is_telling[lag:] & ~repeated[lag:]
        for piece in (np.flatnonzero(alike) + lag)[: MAX_REPEAT_CHECKS - n_checks]:
            repeated[piece] = _is_repeat(samples, int(peaks[piece - lag]), int(peaks[piece]))
            n_checks += 1
    return float(np.mean(repeated))


def _all_differ(values: Float32Array) -> bool:
    """Whether no two values are the same, (n_values,): so it is with nearly all live sound, and it is quickly told."""
    ordered = np.sort(values)
    return not (ordered[1:] == ordered[:-1]).any()


def _is_repeat(samples: Float32Array, earlier: int, later: int) -> bool:
    """Whether the 20 ms around two peaks are the same."""
    half = REPEAT_SAMPLES // 2
    first = samples[max(earlier - half, 0) : earlier + half]
    again = samples[max(later - half, 0) : later + half]
    return len(first) == REPEAT_SAMPLES and np.array_equal(first, again)


def _lagged_powers(centred: Float32Array) -> Float64Array:
    """Products of neighbouring samples at every lag, (n_lags, n_pieces), in units of power."""
    length = centred.shape[1]
    lags = range(1, min(COLOUR_LAGS, length - 1) + 1)
    products = [np.einsum("ps,ps->p", centred[:, lag:], centred[:, :-lag]) for lag in lags]
    powers: Float64Array = np.asarray(products, np.float64).reshape(len(products), len(centred)) / length
    return powers


def _colour(lagged: Float64Array, power: Float64Array) -> Float64Array:
    """Largest autocorrelation over the lags (first axis): 0 for white noise, towards 1 for hum and rumble."""
    largest = np.abs(lagged).max(axis=0, initial=0.0)
    return np.asarray(largest / np.maximum(power, 1e-30))


def _dbfs(power: Float64Array) -> Float64Array:
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (SILENCE_DBFS / 10.0))))


def _pieces(samples: Float32Array, length: int) -> NDArray[np.float32]:
    """Float32 (n_pieces, length); a rest is left out, a stretch shorter than one piece is one piece."""
    if len(samples) < length:
        return samples[np.newaxis, :]
    return samples[: len(samples) // length * length].reshape(-1, length)
