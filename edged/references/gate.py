"""The gate in front of a bank: what speaks against new clips, and what the bank would be with them. Pure.

    one clip      gate_clip      unreadable, silent, clipped, torn, of a wrong rate ...
    the set       gate_set       outliers, two kinds of sound
    the domain    gate_domain    overlap with what is known, what it costs the old sound
    anomalies     gate_labelled  clips that sound like a labelled anomaly

A refusal stands. A doubt is the operator's to overrule. A remark is for her to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edged.embed.bundle import Bundle
from edged.flow import Embedding, Float32Array
from edged.references.anomaly import AnomalyBank, labelled_bank
from edged.references.clips import Clip, RefusedClip
from edged.references.gate_clip import FULL_BAND_HZ, NARROW_BAND_HZ
from edged.references.gate_domain import Overlap, overlap, strength_factor
from edged.references.gate_labelled import resembling, swallowed
from edged.references.gate_set import SetFinding, set_finding

FAR = 30.0
"""Times the old threshold: no condition of a machine that was measured lies farther from its others."""
STRENGTH_FACTOR = 3.0
"""New domains of measured machines cost the old sound 1.0 (median) to 2.3."""
FEW_CLIPS = 3
OF_OTHER_KIND = "of the smaller of two kinds of sound"
_BAND_SLACK_HZ = 500.0

Embedded = Sequence[tuple[Clip, Sequence[Embedding]]]


@dataclass(frozen=True)
class JudgedClip:
    """A new clip as the gate sees it.

    Attributes:
        score: leave-one-clip-out anomaly score (see `anomaly.left_out_together`); None where it has no company, or was
            not scored.
        verdict: ``ok``, ``doubtful``, ``left out`` (doubtful, and the others do without it), ``refused``, ``copy``
            (enrolled already, or twice in the set) or ``given up`` (the bank is full and others cover it).
        reason: empty where it is ok.
    """

    name: str
    verdict: str
    score: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class GateFinding:
    """What the gate found.

    Attributes:
        clips: every new clip that could be scored.
        doubts: what needs the operator's word.
        remarks: what she should know.
        refused: clips that may not be enrolled, found only now.
        overlap: with the old bank; None without one.
        strength_factor: how much stronger a fault near the old sound must be; None without an old bank.
    """

    clips: tuple[JudgedClip, ...] = ()
    doubts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    refused: tuple[RefusedClip, ...] = ()
    overlap: Overlap | None = None
    strength_factor: float | None = None


def of_wrong_rate(old: AnomalyBank | None, clips: Sequence[Clip]) -> list[RefusedClip]:
    """Clips recorded at a lower rate than what is enrolled, or than most of the set: their upper bands are empty."""
    known = [c.band_edge_hz for c in old.clips if c.band_edge_hz is not None] if old else []
    usual = max(known) if known else float(np.median([clip.band_edge_hz for clip in clips] or [FULL_BAND_HZ]))
    return [
        RefusedClip(clip.name, "wrong rate", f"nothing above {clip.band_edge_hz:.0f} Hz: recorded at a lower rate?")
        for clip in clips
        if clip.band_edge_hz < NARROW_BAND_HZ and clip.band_edge_hz < usual - _BAND_SLACK_HZ
    ]


def like_anomalies(old: AnomalyBank | None, clips: Embedded) -> list[RefusedClip]:
    """Clips that sound like a labelled anomaly, or are one."""
    if old is None or not old.labelled:
        return []
    same = {one.sha256: one.event_id for one in old.labelled}
    found = resembling(old, [stacked(embeddings) for _, embeddings in clips])
    return [
        RefusedClip(clip.name, "like an anomaly", f"sounds like the anomaly that was labelled at event {event}")
        for place, (clip, _) in enumerate(clips)
        if (event := same.get(clip.sha256) or found.get(place))
    ]


def judge(bundle: Bundle, old: AnomalyBank | None, new: AnomalyBank, clips: Embedded, domain: str) -> GateFinding:
    """Look at a set of clips that can all be used.

    Args:
        old: the bank before; None for a first enrolment.
        new: fitted with the clips, as part of the domain; nothing is stored yet.
        clips: new ones, none of them enrolled.
    """
    number = {record.sha256: place for place, record in enumerate(new.clips)}
    fresh = [number[clip.sha256] for clip, _ in clips if clip.sha256 in number]
    found = set_finding(bundle, new, fresh)
    plain = labelled_bank(bundle, old, ()).threshold if old else None
    over = overlap(old, [stacked(embeddings) for _, embeddings in clips], plain) if old else None
    factor = strength_factor(old, new) if old else None
    judged = tuple(_judged(clip, number.get(clip.sha256), found) for clip, _ in clips)
    doubts = [
        *(
            f"{clip.name}: {clip.reason}"
            for clip in judged
            if clip.verdict == "doubtful" and clip.reason != OF_OTHER_KIND
        )
    ]
    doubts += _doubts_of_set(new, found, len(fresh)) + _doubts_of_domain(over, factor)
    samples = [clip for clip, _ in clips]
    remarks = _remarks(old, new, over, domain) + _remarks_on_band(old, samples)
    return GateFinding(judged, tuple(doubts), tuple(remarks), _swallowing(old, new, samples), over, factor)


def stacked(embeddings: Sequence[Embedding]) -> dict[str, Float32Array]:
    """Segments of a clip: name -> float32 (n_segments, dim)."""
    return {name: np.stack([e.vectors[name] for e in embeddings]) for name in embeddings[0].vectors}


def _judged(clip: Clip, number: int | None, found: SetFinding) -> JudgedClip:
    if number is None:
        return JudgedClip(clip.name, "given up", None, "the bank is full and other clips cover it")
    score, reasons = found.scores.get(number), list(clip.doubts)
    if number in found.outliers:
        reasons.append(f"an outlier: {found.outliers[number]:.1f} times the threshold by the other clips")
    if number in found.other_kind:
        reasons.append(OF_OTHER_KIND)
    verdict = "doubtful" if reasons else "ok"
    if number in found.apart:
        reasons.append(f"stands apart: {found.apart[number]:.1f} times the threshold by the other clips")
    return JudgedClip(clip.name, verdict, score, "; ".join(reasons))


def _doubts_of_set(new: AnomalyBank, found: SetFinding, n_clips: int) -> list[str]:
    if not found.other_kind:
        return []
    n_kind = len(found.other_kind)
    names = ", ".join([*(new.clips[number].name for number in found.other_kind[:5]), *["..."][: n_kind > 5]])
    where = f"{found.other_distance:.1f} times the threshold from the other {n_clips - n_kind}"
    fix = "enrol machines as streams, conditions as domains"
    return [f"two kinds of sound: {n_kind} clips ({names}) lie {where}; {fix}"]


def _doubts_of_domain(over: Overlap | None, factor: float | None) -> list[str]:
    doubts = []
    if over is not None and over.distance > FAR:
        doubts.append(f"far from all that is enrolled: {over.distance:.0f} times the threshold; the same machine?")
    if factor is not None and factor > STRENGTH_FACTOR:
        doubts.append(f"a fault in the old sound must be {factor:.1f} times as strong to be noticed: too mixed a set?")
    return doubts


def _remarks(old: AnomalyBank | None, new: AnomalyBank, over: Overlap | None, domain: str) -> list[str]:
    remarks = []
    n_clips = new.domains.get(domain, 0)
    if 0 < n_clips < FEW_CLIPS:
        remarks.append(
            f"domain '{domain}' has only {n_clips} clip{'s' if n_clips > 1 else ''}: its spread is hardly known"
        )
    if old is not None and over is not None and over.share_below == 1.0 and domain not in old.domains:
        remarks.append(f"domain '{domain}' lies inside what is known as '{over.nearest}' already: it may be needless")
    if new.reduction is not None:
        dropped = ", ".join(f"{count} of '{name}'" for name, count in new.reduction.dropped.items())
        remarks.append(f"the bank is full: clips that others cover were given up ({dropped})")
    if lost := [event for event in new.inseparable if old is None or event not in old.inseparable]:
        remarks.append(f"labelled anomalies that cannot be told from normal sound any more: {', '.join(lost)}")
    return remarks


def _remarks_on_band(old: AnomalyBank | None, clips: Sequence[Clip]) -> list[str]:
    """A first set that is low-rate throughout may be all that its microphone hears."""
    if old is not None or not clips or any(clip.band_edge_hz >= NARROW_BAND_HZ for clip in clips):
        return []
    edge_hz = max(clip.band_edge_hz for clip in clips)
    return [f"nothing above {edge_hz:.0f} Hz in any clip: a microphone that hears more will find all sound new"]


def _swallowing(old: AnomalyBank | None, new: AnomalyBank, clips: Sequence[Clip]) -> tuple[RefusedClip, ...]:
    """All clips, if a labelled anomaly would pass for normal with them."""
    lost = swallowed(old, new) if old else []
    if not lost:
        return ()
    reason = f"with these clips the anomaly labelled at event {lost[0].event_id} would pass for normal"
    return tuple(RefusedClip(clip.name, "like an anomaly", reason) for clip in clips)
