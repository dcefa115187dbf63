"""Is the input a signal at all? Flat, stuck at a DC level, clipping: a pure step that says when that changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from edged.flow import SAMPLE_RATE_HZ, Block, Float32Array

InputState = Literal["ok", "flat", "dc", "clipping"]


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """Limits of a healthy input.

    Attributes:
        hold_s: a state must last so long before it is believed.
        flat_peak: largest deviation from the mean of an input that hears nothing (a bit of 16 is 3e-5).
        dc_level: mean of a stuck input, of full scale.
        clipped_share: share of samples at full scale in a second that is clipped.
    """

    hold_s: int = 5
    flat_peak: float = 2e-5
    dc_level: float = 0.25
    clipped_share: float = 0.01


@dataclass(frozen=True, slots=True)
class InputChange:
    """The input became healthy or unhealthy."""

    sample: int
    state: InputState
    reason: str


class InputHealth:
    """Looks at every whole second of a stream.

    Args:
        settings: the limits.
    """

    def __init__(self, settings: HealthSettings | None = None) -> None:
        self._settings = settings or HealthSettings()
        self._second = np.zeros(0, np.float32)
        self.state: InputState = "ok"
        self.level_dbfs = -120.0
        self._candidate: InputState = "ok"
        self._lasts_s = 0

    def push(self, block: Block) -> list[InputChange]:
        """Changes that this block proves."""
        if block.lost_before:
            self._second = self._second[:0]
        changes = []
        self._second = np.concatenate([self._second, block.samples])
        while len(self._second) >= SAMPLE_RATE_HZ:
            second, self._second = self._second[:SAMPLE_RATE_HZ], self._second[SAMPLE_RATE_HZ:]
            changes += self._judge(second, block.end - len(self._second))
        return changes

    def _judge(self, second: Float32Array, end_sample: int) -> list[InputChange]:
        state, reason = self._state_of(second)
        self._lasts_s = self._lasts_s + 1 if state == self._candidate else 1
        self._candidate = state
        if state == self.state or self._lasts_s < self._settings.hold_s:
            return []
        self.state = state
        return [InputChange(end_sample, state, reason)]

    def _state_of(self, second: Float32Array) -> tuple[InputState, str]:
        mean = float(second.mean(dtype=np.float64))
        peak = float(np.abs(second - np.float32(mean)).max())
        rms = float(np.sqrt(np.mean(np.square(second, dtype=np.float64))))
        self.level_dbfs = max(-120.0, 20.0 * float(np.log10(max(rms, 1e-6))))
        clipped = float(np.mean(np.abs(second) >= 0.999))
        if peak <= self._settings.flat_peak:
            return "flat", f"the input is constant at {mean:.4f}"
        if abs(mean) >= self._settings.dc_level:
            return "dc", f"mean at {mean:.2f} of full scale"
        if clipped >= self._settings.clipped_share:
            return "clipping", f"{clipped:.0%} of the samples at full scale"
        return "ok", f"level {self.level_dbfs:.0f} dBFS"
