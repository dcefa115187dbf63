"""Says when the input of a stream stops being sound, and when it is sound again: a pure step over whole seconds.

What is wrong with a second is told by the measure that the monitors judge their segments by, so what `status` says and
what is not judged agree; here it must last before anybody is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edged.features.growing import Growing
from edged.features.health import SILENCE_DBFS, InputState, InputVerdict, input_facts
from edged.flow import SAMPLE_RATE_HZ, Block, Float32Array, InputFacts

HOLD_S = 5
TORN_SECONDS = 3
"""So many seconds with dropouts among the last 2 x `HOLD_S` are believed: a torn input is whole in between."""


@dataclass(frozen=True, slots=True)
class InputChange:
    """The input became healthy or unhealthy."""

    sample: int
    state: InputState
    reason: str


class InputHealth:
    """Looks at every whole second of a stream.

    Args:
        judge: what is wrong with a measured second.
        hold_s: seconds that a state must last before it is believed.
    """

    def __init__(self, judge: Callable[[InputFacts], InputVerdict], hold_s: int = HOLD_S) -> None:
        self._judge_facts = judge
        self._hold_s = hold_s
        self._second = Growing(np.zeros(0, np.float32))
        self.state: InputState = "ok"
        self.level_dbfs = SILENCE_DBFS
        self._recent: deque[InputState] = deque(maxlen=2 * hold_s)

    def push(self, block: Block) -> list[InputChange]:
        """Changes that this block proves."""
        changes = []
        if block.lost_before:
            self._second.drop(len(self._second))
            changes += self._note(block.sample, InputVerdict("dropouts", f"{block.lost_before} samples missing"))
        self._second.append(block.samples)
        while len(self._second) >= SAMPLE_RATE_HZ:
            second = self._second.joined()[:SAMPLE_RATE_HZ]
            self._second.drop(SAMPLE_RATE_HZ)
            changes += self._note(block.end - len(self._second), self._judge(second))
        return changes

    def _judge(self, second: Float32Array) -> InputVerdict:
        facts = input_facts(second)
        self.level_dbfs = facts.level_dbfs
        return self._judge_facts(facts)

    def _note(self, sample: int, verdict: InputVerdict) -> list[InputChange]:
        self._recent.append(verdict.state)
        if verdict.state == self.state or not self._is_believed(verdict.state):
            return []
        self.state = verdict.state
        return [InputChange(sample, verdict.state, verdict.reason)]

    def _is_believed(self, state: InputState) -> bool:
        is_torn = self._recent.count("dropouts") >= TORN_SECONDS
        if state == "dropouts":
            return is_torn
        lasts = len(self._recent) >= self._hold_s and set(list(self._recent)[-self._hold_s :]) == {state}
        return lasts and not (state == "ok" and is_torn)
