"""When what happens in the demo's scene: the truth everything else is judged against. All times are scene seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edged.demo.speech import clip_duration_s

PUMP = "pump"
PRESS = "press"
HALL = "hall"
MACHINES = (PUMP, PRESS)
KEYWORD = "maintenance"

_DURATION_S = 610.0
_SHIFT_S = 230.0
_FAULT_S = 60.0
_FAULTS = ((PUMP, "pitted bearing", 90.0), (PUMP, "pitted bearing", 470.0), (PRESS, "leaking air line", 490.0))
_WORDS = (
    (KEYWORD, "1", 38.0),
    ("ventilation", "1", 62.0),
    ("forklift", "1", 125.0),
    (KEYWORD, "2", 172.0),
    ("warehouse", "1", 210.0),
    (KEYWORD, "3", 330.0),
    ("attention", "1", 398.0),
    (KEYWORD, "4", 514.0),
    ("conveyor", "1", 560.0),
)
_MOVED_ABOUT_S = 4.0


@dataclass(frozen=True)
class Fault:
    """A machine is broken for a while."""

    stream: str
    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class SpokenWord:
    """A word somebody says; `clip` is the recording it is played from."""

    word: str
    clip: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Timeline:
    """The whole scene.

    Attributes:
        duration_s: its length.
        shift_s: when the acoustic domain changes for good.
        faults: in order of time.
        words: in order of time.
    """

    duration_s: float
    shift_s: float
    faults: tuple[Fault, ...]
    words: tuple[SpokenWord, ...]


def drawn_timeline(rng: np.random.Generator) -> Timeline:
    """The story, its times moved about a little."""

    def about(time_s: float) -> float:
        return round(time_s + rng.uniform(-_MOVED_ABOUT_S, _MOVED_ABOUT_S), 2)

    starts_s = [about(start_s) for *_, start_s in _FAULTS]
    return Timeline(
        duration_s=_DURATION_S,
        shift_s=about(_SHIFT_S),
        faults=tuple(
            Fault(stream, name, start_s, start_s + _FAULT_S)
            for (stream, name, _), start_s in zip(_FAULTS, starts_s, strict=True)
        ),
        words=tuple(_spoken(word, f"{word}-{take}", about(start_s)) for word, take, start_s in _WORDS),
    )


def _spoken(word: str, clip: str, start_s: float) -> SpokenWord:
    return SpokenWord(word, clip, start_s, start_s + clip_duration_s(clip))
