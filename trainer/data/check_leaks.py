"""The same sound twice: between training and test, under two classes or conditions, or just twice.

Equal samples are found by their digest. A copy at another level or in another sample format has the same course of
levels: over windows of 0.1 s even stationary noise wanders by 0.1 dB, independently in every recording.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edged.flow import Float32Array
from trainer.data.check_files import FileFacts
from trainer.data.check_report import Finding, Severity, counted
from trainer.data.machine_clip import MachineClip

Heard = tuple[MachineClip, FileFacts]
"""A recording and what was found in it."""

NEAR_DB = 0.03
"""RMS difference of the courses of levels below which two recordings are the same sound."""
MIN_WINDOWS = 16
MAX_COMPARED = 30_000
_CHUNK = 1024


class _Kind(NamedTuple):
    severity: Severity
    code: str
    message: str
    fix: str


_CONTRADICTION = _Kind("error", "contradiction", "both normal and anomalous", "keep the one that is labelled right")
_LEAK = _Kind("error", "leak", "both in training and in the test", "take them out of one; figures would be too good")
_CLASSES = _Kind(
    "warning",
    "two-classes",
    "in several classes",
    "keep the one whose machine and attributes are right",
)
_TWICE = _Kind("warning", "duplicate", "more than once", "keep one of each")
_NEAR_LEAK = _Kind(
    "warning",
    "near-leak",
    "in training and test, at another level or in another format",
    "listen to them; take copies out of one",
)
_NEAR = _Kind("note", "near-duplicate", "twice, at another level or in another format", "keep one of each")


def same_sound(heard: Sequence[Heard]) -> list[Finding]:
    """Findings about equal and nearly equal recordings; silent ones, which are all the same, do not count."""
    audible = [item for item in heard if not item[1].is_silent]
    equal = _equal_groups(audible)
    distinct = list({facts.digest: (clip, facts) for clip, facts in audible}.values())
    envelopes = [facts.envelope for _, facts in distinct]
    pairs = [(distinct[i], distinct[j]) for i, j in near_pairs(envelopes)]
    groups: list[tuple[_Kind, Sequence[Heard]]] = [(_kind(group), group) for group in equal]
    groups += [(_NEAR_LEAK if _between_splits(pair) else _NEAR, pair) for pair in pairs]
    found: dict[_Kind, list[Sequence[Heard]]] = defaultdict(list)
    for kind, group in groups:
        found[kind].append(group)
    return [*(_finding(kind, members) for kind, members in found.items()), *_limits(not_compared(envelopes))]


def _limits(n_left_out: int) -> Iterator[Finding]:
    if n_left_out:
        message = f"{n_left_out} recordings are too many to look for copies at another level or in another format"
        yield Finding("note", "not-compared", message, "check a machine at a time; equal samples are found in any case")


def near_pairs(envelopes: Sequence[Float32Array]) -> Iterator[tuple[int, int]]:
    """Pairs of recordings whose courses of levels differ by less than `NEAR_DB`.

    Tones, whose level does not move, are not compared; nor are those that `not_compared` counts.

    Args:
        envelopes: dB, mean 0, of any length; only those of equal length are compared.
    """
    for indices in _of_equal_length(envelopes):
        if len(indices) <= MAX_COMPARED:
            stacked = np.stack([envelopes[index] for index in indices])
            yield from ((indices[i], indices[j]) for i, j in _near_rows(stacked))


def not_compared(envelopes: Sequence[Float32Array]) -> int:
    """How many recordings are left out because over 30,000 have their length: to compare them would take minutes."""
    return sum(len(indices) for indices in _of_equal_length(envelopes) if len(indices) > MAX_COMPARED)


def _of_equal_length(envelopes: Sequence[Float32Array]) -> Iterable[list[int]]:
    """Indices of those that can be told apart."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, envelope in enumerate(envelopes):
        if len(envelope) >= MIN_WINDOWS and envelope.std() > NEAR_DB:
            by_length[len(envelope)].append(index)
    return by_length.values()


def _near_rows(rows: Float32Array) -> Iterator[tuple[int, int]]:
    """Pairs i < j by squared distances in chunks; candidates are checked exactly, as the expansion is not."""
    norms = np.einsum("ij,ij->i", rows, rows)
    limit = np.float32(rows.shape[1] * NEAR_DB**2)
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        squared = norms[start : start + _CHUNK, None] + norms[None, start:] - 2.0 * chunk @ rows[start:].T
        slack = np.float32(1e-5) * norms[None, start:]
        for i, j in np.argwhere(np.triu(squared < 2.0 * limit + slack, k=1)):
            if np.square(chunk[i] - rows[start + j], dtype=np.float64).sum() < limit:
                yield start + int(i), start + int(j)


def _equal_groups(heard: Iterable[Heard]) -> list[list[Heard]]:
    groups: Mapping[str, list[Heard]] = defaultdict(list)
    for item in heard:
        groups[item[1].digest].append(item)
    return [group for group in groups.values() if len(group) > 1]


def _kind(group: Sequence[Heard]) -> _Kind:
    clips = [clip for clip, _ in group]
    if {"normal", "anomaly"} <= {clip.condition for clip in clips}:
        return _CONTRADICTION
    if _between_splits(group):
        return _LEAK
    return _CLASSES if len({clip.label for clip in clips}) > 1 else _TWICE


def _between_splits(group: Sequence[Heard]) -> bool:
    return {"train", "test"} <= {clip.split for clip, _ in group}


def _finding(kind: _Kind, groups: Sequence[Sequence[Heard]]) -> Finding:
    paths = [facts.path for group in groups for _, facts in group]
    details = [f"= {group[0][1].path}" if item is not group[0] else "" for group in groups for item in group]
    message = f"{counted(len(groups), 'sound', 'sounds')} {kind.message}"
    return Finding(kind.severity, kind.code, message, kind.fix, tuple(paths), tuple(details))
