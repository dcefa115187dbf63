"""The clips an enrolment is made of: found, examined, and refused with the reason when they cannot be used.

A clip of a file is read twice, once to be examined and once to be embedded, and kept in memory for neither longer than
that: a thousand clips need no more memory than the longest of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edged.capture.files import read_clip
from edged.errors import AudioError, EnrolmentError
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from edged.references.gate_clip import ANOMALY_CLIPS, FULL_BAND_HZ, KEYWORD_CLIPS, ClipLimits, Fault, examine
from edged.references.search import find_audio, printable_name

__all__ = [
    "ANOMALY_CLIPS", "KEYWORD_CLIPS", "Clip", "ClipLimits", "ClipSet", "RefusedClip", "clip_of_samples", "examined",
    "find_audio", "read_clips",
]  # fmt: skip

MAX_TOTAL_S = 6 * 3600.0
_SHOWN_REFUSALS = 50


@dataclass(frozen=True)
class Clip:
    """One usable clip.

    Attributes:
        name: file name without its directory, for people.
        sha256: of the samples, so that a copy under another name is still the same clip.
        n_samples: at 16 kHz.
        recall: gives the samples, reading the file again.
        doubts: what an operator should look at before she uses it.
        band_edge_hz: above this there is nothing in it.
        event: id of the event it was heard at; empty where it was none.
    """

    name: str
    sha256: str
    n_samples: int
    recall: Callable[[], Float32Array]
    doubts: tuple[str, ...] = ()
    band_edge_hz: float = FULL_BAND_HZ
    event: str = ""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_samples / SAMPLE_RATE_HZ

    @property
    def samples(self) -> Float32Array:
        """Float32 (n_samples,) at 16 kHz; those of a file are read from it every time.

        Raises:
            AudioError: the file changed since it was examined.
        """
        return self.recall()


@dataclass(frozen=True)
class RefusedClip:
    """A clip that cannot be used.

    Attributes:
        name: for people: the file's path, or a name.
        fault: kind of the reason.
        reason: one sentence.
    """

    name: str
    fault: Fault
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class ClipSet:
    """What was found of the clips of an enrolment.

    Attributes:
        clips: usable ones, each recording once.
        refused: those that are not.
        copies: (name, name of the clip it is a copy of).
    """

    clips: tuple[Clip, ...]
    refused: tuple[RefusedClip, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()

    @property
    def notes(self) -> list[str]:
        """A line for every copy."""
        return [f"{name}: passed over, the same recording as {first}" for name, first in self.copies]


def clip_of_samples(name: str, samples: Float32Array, limits: ClipLimits) -> Clip:
    """A clip of samples that are in memory already.

    Raises:
        EnrolmentError: too short, too long, silent or otherwise unfit.
    """
    clip = _examined_samples(name, samples, limits, lambda: samples)
    if isinstance(clip, RefusedClip):
        raise EnrolmentError(str(clip))
    return clip


def examined(
    paths: Iterable[Path],
    limits: ClipLimits,
    *,
    channel: int = 0,
    track: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> ClipSet:
    """Look at every clip; nothing is raised for those that cannot be used.

    Raises:
        EnrolmentError: the clips together are too long.
    """
    judged = _within_total(_examined_file(path, limits, channel) for path in track(paths))
    refused = tuple(clip for clip in judged if isinstance(clip, RefusedClip))
    usable = [clip for clip in judged if isinstance(clip, Clip)]
    first: dict[str, Clip] = {}
    copies = [clip for clip in usable if first.setdefault(clip.sha256, clip) is not clip]
    return ClipSet(tuple(first.values()), refused, tuple((clip.name, first[clip.sha256].name) for clip in copies))


def read_clips(paths: Sequence[Path], limits: ClipLimits, *, channel: int = 0) -> tuple[list[Clip], list[str]]:
    """Every clip, or the lot refused with one line per clip that cannot be used.

    Returns:
        the clips, each recording once, and notes on what was passed over.

    Raises:
        EnrolmentError: at least one clip cannot be used.
    """
    found = examined(paths, limits, channel=channel)
    if found.refused:
        raise EnrolmentError(f"{len(found.refused)} of {len(paths)} clips refused:\n  {listed(found.refused)}")
    return list(found.clips), found.notes


def listed(lines: Sequence[object]) -> str:
    """Lines of an error, no more than anybody would read."""
    shown = [str(line) for line in lines[:_SHOWN_REFUSALS]]
    left = len(lines) - len(shown)
    return "\n  ".join([*shown, *([f"... and {left} more"] if left else [])])


def _within_total(judged: Iterable[Clip | RefusedClip]) -> list[Clip | RefusedClip]:
    kept, total_s = [], 0.0
    for clip in judged:
        total_s += clip.duration_s if isinstance(clip, Clip) else 0.0
        if total_s > MAX_TOTAL_S:
            raise EnrolmentError(f"the clips are longer than {MAX_TOTAL_S / 3600:g} h together", fix="enrol a part")
        kept.append(clip)
    return kept


def _examined_file(path: Path, limits: ClipLimits, channel: int) -> Clip | RefusedClip:
    """A clip of a file; no more of it is read than `limits.max_s`."""
    try:
        samples = read_clip(path, channel=channel, max_s=limits.max_s)
    except AudioError as error:
        message = str(error).removeprefix(f"{path}: ")
        return RefusedClip(printable_name(str(path)), _fault_of(message), printable_name(message))
    recall = partial(_read_again, path, channel, limits.max_s, _digest(samples))
    clip = _examined_samples(printable_name(path.name), samples, limits, recall)
    return replace(clip, name=printable_name(str(path))) if isinstance(clip, RefusedClip) else clip


def _examined_samples(
    name: str, samples: Float32Array, limits: ClipLimits, recall: Callable[[], Float32Array]
) -> Clip | RefusedClip:
    finding = examine(samples, limits)
    if finding.fault:
        return RefusedClip(name, finding.fault, finding.reason)
    return Clip(name, _digest(samples), len(samples), recall, finding.doubts, finding.band_edge_hz)


def _read_again(path: Path, channel: int, max_s: float, sha256: str) -> Float32Array:
    samples = read_clip(path, channel=channel, max_s=max_s)
    if _digest(samples) != sha256:
        raise AudioError(f"{printable_name(str(path))}: changed while it was enrolled", fix="enrol it again")
    return samples


def _digest(samples: Float32Array) -> str:
    return hashlib.sha256(samples.tobytes()).hexdigest()


def _fault_of(message: str) -> Fault:
    if "not numbers" in message:
        return "not numbers"
    return "too long" if "longer than" in message else "unreadable"
