"""The gate in front of a keyword bank: clips of a word among each other, and the word among the enrolled ones. Pure.

    a clip        keyword_gate_clip     nothing heard, too short, too long; whether it runs into the clip's edges
    the clips     siblings, here        the odd one out, cut off, drowned in noise, the same recording twice
    the words     keyword_gate_words    confusable with an enrolled word, no nearer to itself than to other speech

A refusal stands. A doubt is the operator's to overrule, unless the other clips are enough and it is left out
(`keyword_sift`). A remark is for her to know. The limits of a clip are in `keyword_gate_limits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edged.flow import SAMPLE_RATE_HZ, Float32Array, Float64Array
from edged.references.gate import GateFinding, JudgedClip
from edged.references.keyword_gate_limits import APART, CLEAR, FEW_CLIPS, ORDINARY, ClipDoubts
from edged.references.keyword_gate_set import Nearness, Templates, left_out
from edged.references.keyword_gate_words import OtherWord, word_finding
from edged.references.templates import SpokenClip

LEAST_SIBLINGS = 2
SAME_RECORDING = 0.02
UNSURE = "not sure, of so few clips: "


@dataclass(frozen=True)
class _Siblings:
    """New clips beside each other and beside the templates that the word has already.

    Attributes:
        heard: of every clip, how far the others' templates are from it: the monitor without it would say so; (n,).
        hears: how far its own template is from the others, (n,).
        onto: own templates in all siblings' sounds, the new ones first.
        spans: first row of the word and one past its last in each of those sounds.
        amid: of the new clips, whether sound runs into the beginning, and into the end.
    """

    heard: Float64Array
    hears: Float64Array
    onto: Nearness
    spans: Sequence[tuple[int, int]]
    amid: Sequence[tuple[bool, bool]]

    def ratio(self, values: Float64Array, clip: int) -> float | None:
        """A clip's value over the median of the other new ones; None where there are too few to compare it with."""
        others = np.delete(values, clip)
        if len(others) < LEAST_SIBLINGS or not np.isfinite(values).all():
            return None
        return float(values[clip] / max(float(np.median(others)), 1e-6))


def judge(
    clips: Sequence[SpokenClip],
    own: Sequence[Float32Array],
    others: Sequence[OtherWord],
    word: str,
    background: Float32Array,
    *,
    n_enrolled: int = 0,
) -> GateFinding:
    """Look at clips of a word, all of which hold something like a word.

    Args:
        own: templates that the word has already.
        others: the other enrolled words.
        background: float32 (n_rows, dim), embeddings of ordinary speech.
        n_enrolled: how many clips were given besides these, and are enrolled already.
    """
    templates = [*(clip.template for clip in clips), *own]
    everything = Templates([*templates, *(one for other in others for one in other.templates)], background)
    new = everything.part(0, len(clips))
    onto_clips = everything.nearness([clip.rows for clip in clips])
    siblings = _siblings(clips, own, onto_clips, new)
    is_few = len(clips) + n_enrolled < FEW_CLIPS
    judged = tuple(_judged(number, clip, siblings, is_few=is_few) for number, clip in enumerate(clips))
    words = word_finding(
        word, siblings.heard, onto_clips.distances, everything, new=new, others=others, first=len(templates)
    )
    doubts = [f"{one.name}: {one.reason}" for one in judged if one.verdict == "doubtful"]
    remarks = [f"{one.clip.name}: {doubt}" for one in clips for doubt in one.clip.doubts]
    remarks += [f"{one.name}: {one.reason}" for one in judged if one.verdict == "ok" and one.reason.startswith(UNSURE)]
    remarks += [*_same_recordings(clips, siblings), *_edges(clips, siblings), *words.remarks]
    return GateFinding(judged, (*doubts, *words.doubts), tuple(remarks))


def _siblings(
    clips: Sequence[SpokenClip], own: Sequence[Float32Array], onto_clips: Nearness, new: Templates
) -> _Siblings:
    n_clips = len(clips)
    onto = new.nearness([*(clip.rows for clip in clips), *own])
    heard = left_out(onto_clips.distances[: n_clips + len(own)], n_clips)
    hears = left_out(onto.distances.T, n_clips)
    spans = [*(clip.span for clip in clips), *((0, len(rows)) for rows in own)]
    return _Siblings(heard, hears, onto, spans, [(clip.sound.begins_amid, clip.sound.ends_amid) for clip in clips])


def _judged(number: int, clip: SpokenClip, siblings: _Siblings, *, is_few: bool) -> JudgedClip:
    distance, name = float(siblings.heard[number]), clip.clip.name
    score = distance if np.isfinite(distance) else None
    doubt = _doubt(number, clip, siblings, ORDINARY)
    if doubt and is_few and not _doubt(number, clip, siblings, CLEAR):
        return JudgedClip(name, "ok", score, UNSURE + doubt)
    if doubt:
        return JudgedClip(name, "doubtful", score, doubt)
    is_apart = _is_beyond(APART, number, siblings)
    return JudgedClip(name, "ok", score, f"stands apart: {distance:.2f} from the other clips" if is_apart else "")


def _doubt(number: int, clip: SpokenClip, siblings: _Siblings, limits: ClipDoubts) -> str:
    """What speaks against a clip; empty where nothing does."""
    if cut := _cut(number, clip, siblings, limits):
        return cut
    if _is_noisy(number, clip, siblings, limits):
        return f"the word hardly stands out of its background ({clip.sound.range_db:.0f} dB)"
    if _is_beyond(limits, number, siblings):
        return _odd(float(siblings.heard[number]), np.delete(siblings.heard, number))
    return ""


def _odd(distance: float, others: Float64Array) -> str:
    theirs = f" and they are {float(np.median(others)):.2f} from theirs" if len(others) else ""
    place = f"{distance:.2f} from the other clips, where 1 is any other speech"
    return f"the odd one out: {place}{theirs}; another word, or a noise?"


def _is_beyond(limits: ClipDoubts, number: int, siblings: _Siblings) -> bool:
    """Whether a clip is farther from its siblings than a limit, and than they are from theirs."""
    if len(siblings.spans) <= LEAST_SIBLINGS:
        return False
    values = (siblings.heard, (siblings.heard + siblings.hears) / 2.0)
    ratios = [siblings.ratio(v, number) for v in values]
    return any(
        v[number] > limits.odd and (ratio is None or ratio > limits.over_others)
        for v, ratio in zip(values, ratios, strict=True)
    )


def _cut(number: int, clip: SpokenClip, siblings: _Siblings, limits: ClipDoubts) -> str:
    """What of the word lies beyond an edge, by the siblings; empty where nothing does.

    A template is looked for in every sibling: what their word holds before or after the best match is missing here.
    """
    others = np.delete(np.arange(len(siblings.spans)), number)
    if not len(others) or len(clip.template) == 0:
        return ""
    spans = np.array(siblings.spans)[others]
    lengths = spans[:, 1] - spans[:, 0]
    before = siblings.onto.starts[number, others] - spans[:, 0]
    after = spans[:, 1] - 1 - siblings.onto.ends[number, others]
    ratio = siblings.ratio(siblings.heard, number)
    edges = (("beginning", "begin", "earlier", before, 0), ("end", "go on", "longer", after, 1))
    for edge, they_do, how, missing, side in edges:
        if not siblings.amid[number][side]:
            continue
        others_are_amid = [one[side] for k, one in enumerate(siblings.amid) if k != number]
        share, over_others = _cut_limits(others_are_amid, limits)
        missing_s = float(np.median(missing)) * clip.hop_samples / SAMPLE_RATE_HZ
        is_missed = ratio is None or ratio >= over_others
        if is_missed and missing_s >= limits.cut_s and float(np.median(missing / lengths)) >= share:
            return f"its {edge} is cut off: the other clips {they_do} {missing_s:.2f} s {how}"
    return ""


def _cut_limits(others_are_amid: Sequence[bool], limits: ClipDoubts) -> tuple[float, float]:
    if 2 * sum(others_are_amid) > len(others_are_amid):
        return limits.amid_cut_share, limits.amid_cut_over_others
    return limits.cut_share, limits.cut_over_others


def _is_noisy(number: int, clip: SpokenClip, siblings: _Siblings, limits: ClipDoubts) -> bool:
    range_db, ratio = clip.sound.range_db, siblings.ratio(siblings.heard, number)
    if ratio is None:
        return range_db < limits.drowned_db
    return range_db < limits.noisy_db and ratio > limits.noisy_over_others


def _same_recordings(clips: Sequence[SpokenClip], siblings: _Siblings) -> list[str]:
    """A pair that is nearer than anybody speaks twice: one clip under two names says nothing of how a word varies."""
    n_clips = len(clips)
    among = np.maximum(siblings.onto.distances[:, :n_clips], siblings.onto.distances[:, :n_clips].T)
    pairs = np.argwhere(np.triu(among < SAME_RECORDING, k=1))
    return [f"{clips[a].clip.name} and {clips[b].clip.name} look like the same recording" for a, b in pairs[:5]]


def _edges(clips: Sequence[SpokenClip], siblings: _Siblings) -> list[str]:
    """Clips that run into an edge, where no sibling tells whether anything is missing, or most clips do."""
    amid = [clip.clip.name for clip in clips if clip.sound.begins_amid or clip.sound.ends_amid]
    if not amid or (len(siblings.spans) > 1 and 2 * len(amid) <= len(clips)):
        return []
    names = ", ".join(amid[:3]) + (" ..." if len(amid) > 3 else "")
    return [f"sound runs into the edges of {len(amid)} of {len(clips)} clips ({names}): is the word whole in them?"]
