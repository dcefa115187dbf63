"""What the scene is about at a moment, in words a viewer reads in passing."""

from __future__ import annotations

from dataclasses import dataclass

from edged.demo.timeline import Timeline


@dataclass(frozen=True)
class Chapter:
    """A heading and a sentence."""

    title: str
    sentence: str


_NORMAL = Chapter("Normal operation", "Both machines run as they did when their clips were recorded.")
_FAULT = Chapter("A fault begins", "The pump's bearing is pitted. edged never heard a fault before.")
_REPAIRED = Chapter("Repaired", "The sound is normal again and the alarm clears by itself.")
_SHIFTED = Chapter("The plant changes", "Full load, ventilation on: nothing is broken, but edged never heard it.")
_ENROLMENT = Chapter("Enrolment", "Clips of the new sound are enrolled; the daemon listens on meanwhile.")
_CALM = Chapter("Calm again", "The new domain is known now: no restart, no training.")
_NEW_FAULTS = Chapter("Faults in the new domain", "Pump and press fail at full load, each in its own way.")
_END = Chapter("Repaired again", "The end of the shift.")


def chapter(timeline: Timeline, now_s: float, *, enrolling: bool, enrolled: bool) -> Chapter:
    """The chapter that runs; only the enrolment depends on what was done, the rest on the scene's time."""
    first, second, *_ = timeline.faults
    known = _ENROLMENT if enrolling else _CALM if enrolled else _SHIFTED
    ends = (
        (first.start_s, _NORMAL),
        (first.end_s, _FAULT),
        (timeline.shift_s, _REPAIRED),
        (second.start_s, known),
        (max(fault.end_s for fault in timeline.faults), _NEW_FAULTS),
    )
    return next((what for end_s, what in ends if now_s < end_s), _END)
