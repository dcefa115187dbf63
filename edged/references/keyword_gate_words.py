"""Is a word apart from the enrolled ones, and from speech as such?

Two words are confused where a clip of one is about as near to the other as to its own kind. Near each other are words
of which one alone would be taken for the other: both enrolled, or one as a counter-example, the nearer one wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edged.flow import Float32Array, Float64Array
from edged.references.keyword_gate_set import Templates, best_mean, left_out

CONFUSED_ONE_WAY, CONFUSED_BOTH_WAYS = 1.05, 1.3
"""Distance to the other word over that to its own kind: of the clips of one of the two, or the mean of both."""
NEAR = 0.55
TOO_NEAR_ALONE = 0.35
UNSPECIFIC = 0.75
_FIX = "take another word, or one of more sounds"


@dataclass(frozen=True)
class OtherWord:
    """An enrolled word."""

    word: str
    templates: Sequence[Float32Array]


@dataclass(frozen=True)
class WordFinding:
    """What speaks against a word."""

    doubts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def word_finding(
    word: str,
    heard: Float64Array,
    in_clips: Float64Array,
    everything: Templates,
    *,
    new: Templates,
    others: Sequence[OtherWord],
    first: int,
) -> WordFinding:
    """Compare a word with all others.

    Args:
        heard: of every new clip, distance to its siblings; nan where it has none.
        in_clips: distances of all templates in the new clips.
        everything: all templates; `new`: those of the new clips.
        first: place of the other words' templates among all, word by word.
    """
    doubts, remarks, last = [], list(_unspecific(word, heard)), first
    for other in others:
        first, last = last, last + len(other.templates)
        to_other = best_mean(in_clips[first:last])
        to_new = best_mean(new.nearness(other.templates).distances)
        nearest = min(float(np.median(to_other)), float(np.median(to_new)))
        if nearest > 2 * NEAR:
            continue
        among = everything.part(first, last).nearness(other.templates).distances
        if _is_confused(heard, to_other, left_out(among, len(other.templates)), to_new):
            doubts.append(f"confusable with '{other.word}': {_apart(nearest)}, hardly nearer to its own; {_FIX}")
        elif nearest < NEAR:
            taken = "either would be taken for the other if only one was enrolled"
            remarks.append(f"sounds like '{other.word}': {_apart(nearest)}; {taken}")
    return WordFinding(tuple(doubts), tuple(remarks))


def _is_confused(own: Float64Array, to_other: Float64Array, among: Float64Array, to_new: Float64Array) -> bool:
    """Whether clips of either word are about as near to the other as to their own kind."""
    there = _ratio(to_other, own)
    back = _ratio(to_new, among)
    return min(there, back) <= CONFUSED_ONE_WAY or float(np.sqrt(there * back)) <= CONFUSED_BOTH_WAYS


def _ratio(to_other: Float64Array, own: Float64Array) -> float:
    """Distance to another word over that to its own kind; of a clip without company, over what is too near for any."""
    kind = float(np.median(own)) if len(own) and np.isfinite(own).all() else TOO_NEAR_ALONE
    return float(np.median(to_other)) / max(kind, 1e-6)


def _unspecific(word: str, heard: Float64Array) -> Sequence[str]:
    if not len(heard) or not np.isfinite(heard).all() or float(np.median(heard)) < UNSPECIFIC:
        return ()
    distance = _apart(float(np.median(heard)))
    line = f"the clips of '{word}' lie {distance}: it will be missed or raise false alarms; take a longer word"
    return (f"{line}, or clips that are said alike",)


def _apart(distance: float) -> str:
    return f"{distance:.2f} apart, where 1 is any other speech"
