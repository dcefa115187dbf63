"""Judging recordings with a bundle: each section's normal training clips are enrolled, its test clips scored.

    clips -> heard once: vectors, level -> per section: fit, score -> both kinds of clip known: figures can be made
                                                                   -> otherwise: scores alone

Sets without normal test clips (MIMII) are judged by folds: every normal clip by the others, every anomaly by the mean
over the folds. Neighbours may be cut from one recording, so a fold is a run of neighbours and not a random draw.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edged.embed.bundle import Bundle, RepresentationSpec
from edged.errors import BundleError, UsageError
from edged.flow import Float32Array, Float64Array
from edged.score.anomaly import AnomalyScorer, fit_anomaly
from edged.score.references import References
from trainer.data.machine_clip import Condition, MachineClip
from trainer.evaluate.anomaly import clip_scores
from trainer.evaluate.hearing import HeardClip, hear_all
from trainer.evaluate.judged import JudgedSection

N_FOLDS = 5
MAX_NAMES = 8
Key = tuple[str, str]
"""Machine and section."""
FOLD_NOTE = (
    f"no normal test clips; the enrolled ones are judged in up to {N_FOLDS} folds of neighbours. Thresholds come from "
    "the same clips, so their false alarm rates are optimistic"
)


@dataclass(frozen=True)
class SectionScores:
    """Scores of one section's test clips, whatever is known about them.

    Attributes:
        machine: machine type.
        section: its number or name.
        scores: (n,) anomaly scores, means over each clip's segments.
        clips: n recordings.
        normal_scores: (m,) leave-one-clip-out scores of the enrolled clips; empty where a single clip is enrolled.
    """

    machine: str
    section: str
    scores: Float64Array
    clips: tuple[MachineClip, ...]
    normal_scores: Float64Array

    @property
    def name(self) -> str:
        """`machine/section`."""
        return f"{self.machine}/{self.section}"

    @property
    def clip_names(self) -> list[str]:
        """The files' names; of files that share one (``normal/1.wav``, ``abnormal/1.wav``) their paths."""
        n_files = Counter(clip.path.name for clip in self.clips)
        return [clip.path.name if n_files[clip.path.name] == 1 else str(clip.path) for clip in self.clips]

    @property
    def is_judgeable(self) -> bool:
        """Whether there are normal and anomalous clips to be told apart."""
        return {"normal", "anomaly"} <= {clip.condition for clip in self.clips}

    def judged(self) -> JudgedSection:
        """The labelled clips, for figures."""
        known = [index for index, clip in enumerate(self.clips) if clip.condition != "unknown"]
        clips = [self.clips[index] for index in known]
        is_anomalous = np.array([clip.condition == "anomaly" for clip in clips], bool)
        domains = tuple(clip.reference_domain for clip in clips)
        paths = tuple(clip.path for clip in clips)
        scores = self.scores[known]
        return JudgedSection(self.machine, self.section, scores, is_anomalous, domains, paths, self.normal_scores)


@dataclass(frozen=True)
class Embeddings:
    """One vector per test clip: the mean over its segments.

    Attributes:
        representation: which of the bundle's vectors.
        vectors: (n, dim).
        conditions: n times normal, anomaly or unknown.
        domains: n acoustic domains.
        sections: n times `machine/section`.
    """

    representation: str
    vectors: Float32Array
    conditions: tuple[Condition, ...]
    domains: tuple[str, ...]
    sections: tuple[str, ...]


@dataclass(frozen=True)
class BundleRun:
    """What a bundle says about a set of recordings.

    Attributes:
        sections: every section that could be scored, by name.
        embeddings: of their test clips.
        levels_dbfs: file -> RMS, the control for loudness.
        notes: what a reader of the figures has to know.
    """

    sections: tuple[SectionScores, ...]
    embeddings: Embeddings
    levels_dbfs: Mapping[Path, float]
    notes: tuple[str, ...]

    @property
    def judged(self) -> list[JudgedSection]:
        """The sections that have figures."""
        return [section.judged() for section in self.sections if section.is_judgeable]

    @property
    def listed(self) -> list[SectionScores]:
        """The sections with scores alone."""
        return [section for section in self.sections if not section.is_judgeable]


def run_bundle(bundle: Bundle, clips: Sequence[MachineClip], *, progress: bool = False) -> BundleRun:
    """Enrol and score section by section, as `edged enroll` and `edged score --clip` do.

    Raises:
        UsageError: a keyword bundle, or no section has normal training clips.
        AudioError: a recording cannot be used.
        BundleError: a score is not finite; the file is named.
    """
    refuse_keywords(bundle)
    groups: dict[Key, list[MachineClip]] = {}
    for clip in clips:
        if clip.for_training or clip.split == "test":
            groups.setdefault((clip.machine, clip.section), []).append(clip)
    heard = hear_all(bundle, [clip for group in _enrollable(groups).values() for clip in group], progress=progress)
    silent = {path for path, own in heard.items() if own.is_silent}
    usable = _enrollable(
        {key: [c for c in own if not (c.for_training and c.path in silent)] for key, own in groups.items()}
    )
    without = [f"{machine}/{section}" for machine, section in sorted(groups.keys() - usable.keys())]
    notes = [f"{first_names(without)}: no normal training clips to enrol; passed over"] if without else []
    if silent:
        names = first_names(sorted(path.name for path in silent))
        notes.append(f"{names}: without sound; not enrolled, test clips among them are judged as they are")
    unused = [clip.path.name for clip in clips if clip.split == "train" and not clip.for_training]
    if unused:
        notes.append(f"{first_names(unused)}: in the training split and not normal; neither enrolled nor judged")
    return _run_sections(bundle, usable, heard, notes)


def _enrollable(groups: Mapping[Key, list[MachineClip]]) -> dict[Key, list[MachineClip]]:
    """Sections that have something to enrol, sorted.

    Raises:
        UsageError: there is none.
    """
    usable = {key: group for key, group in sorted(groups.items()) if any(clip.for_training for clip in group)}
    if not usable:
        raise UsageError(
            f"none of {len(groups)} sections has normal training clips to enrol", fix="add them, or see --help"
        )
    return usable


def first_names(names: Sequence[str]) -> str:
    """The first few of many names.

    >>> first_names(["a", "b"]), first_names("abcdefghij")
    ('a, b', 'a, b, c, d, e, f, g, h and 2 more')
    """
    rest = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + rest


def refuse_keywords(bundle: Bundle) -> None:
    """Only anomaly bundles judge clips.

    Raises:
        UsageError: a keyword bundle.
    """
    if bundle.manifest.kind != "anomaly":
        raise UsageError(
            f"{bundle.directory}: a {bundle.manifest.kind} bundle spots words and has no anomaly scores",
            fix="measure it with `python tests/bench/keywords.py --bundle DIR`",
        )


def neighbour_folds(domains: Sequence[str], n_folds: int = N_FOLDS) -> NDArray[np.int64]:
    """Number of the fold that each of n clips is left out in: runs of neighbours, each domain spread over the folds.

    >>> neighbour_folds(["source"] * 5 + ["target"], 2).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    names = list(dict.fromkeys(domains))
    n_folds = min(n_folds, len(domains))
    folds = np.empty(len(domains), np.int64)
    for index, name in enumerate(names):
        (rows,) = np.nonzero(np.array([domain == name for domain in domains]))
        folds[rows] = (np.arange(len(rows)) * n_folds // len(rows) + index) % n_folds
    return folds


def fit_section(enrolled: Sequence[HeardClip], specs: Sequence[RepresentationSpec]) -> AnomalyScorer:
    """A scorer for these clips and their domains, as enrolment fits it."""
    rows = [len(next(iter(heard.vectors.values()))) for heard in enrolled]
    numbers = np.repeat(np.arange(len(enrolled)), rows)
    domains = tuple(heard.domain for heard, n in zip(enrolled, rows, strict=True) for _ in range(n))
    return fit_anomaly(
        specs,
        {s.name: References(np.concatenate([h.vectors[s.name] for h in enrolled]), domains, numbers) for s in specs},
    )


def _run_sections(
    bundle: Bundle,
    groups: Mapping[tuple[str, str], Sequence[MachineClip]],
    heard: Mapping[Path, HeardClip],
    notes: list[str],
) -> BundleRun:
    specs = bundle.manifest.representations
    scored = {key: _run_section(key, [heard[clip.path] for clip in group], specs) for key, group in groups.items()}
    sections = tuple(section for section, _ in scored.values() if section.clips)
    tested = [heard[clip.path] for section in sections for clip in section.clips]
    if not tested:
        raise UsageError(
            "there are no test clips", fix="a single normal clip per section can only be enrolled: add some"
        )
    alone = [section.name for section, _ in scored.values() if not section.clips]
    if alone:
        notes = [*notes, f"{first_names(alone)}: a single normal clip and nothing to judge; passed over"]
    folded = [section.name for section, in_folds in scored.values() if in_folds]
    if folded:
        notes = [*notes, f"{first_names(folded)}: {FOLD_NOTE}"]
    levels = {h.clip.path: h.level_dbfs for h in tested}
    return BundleRun(sections, _embeddings(tested, specs), levels, tuple(notes))


def _run_section(
    key: tuple[str, str], group: Sequence[HeardClip], specs: Sequence[RepresentationSpec]
) -> tuple[SectionScores, bool]:
    """The section, and whether its normal clips were judged by folds."""
    ordered = sorted(group, key=lambda heard: _natural(heard.clip.path))
    enrolled = [heard for heard in ordered if heard.clip.for_training]
    tested = [heard for heard in ordered if heard.clip.split == "test"]
    scorer = fit_section(enrolled, specs)
    in_folds = len(enrolled) > 1 and all(heard.clip.condition == "anomaly" for heard in tested)
    if in_folds:
        scores = _scores_by_folds(enrolled, tested, specs)
        tested = [*enrolled, *tested]
    else:
        scores = clip_scores(scorer, [heard.vectors for heard in tested])
    clips = tuple(heard.clip for heard in tested)
    _refuse_unfinished(clips, scores)
    return SectionScores(*key, scores, clips, _left_out_scores(scorer, enrolled)), in_folds


def _scores_by_folds(
    enrolled: Sequence[HeardClip], anomalous: Sequence[HeardClip], specs: Sequence[RepresentationSpec]
) -> Float64Array:
    """Scores of the enrolled clips, each by the other folds, then of the anomalies: the mean over the folds."""
    folds = neighbour_folds([heard.domain for heard in enrolled])
    own, others = np.zeros(len(enrolled)), np.zeros((folds.max() + 1, len(anomalous)))
    for fold in range(folds.max() + 1):
        scorer = fit_section([h for h, f in zip(enrolled, folds, strict=True) if f != fold], specs)
        held_out = [h.vectors for h, f in zip(enrolled, folds, strict=True) if f == fold]
        own[folds == fold] = clip_scores(scorer, held_out)
        others[fold] = clip_scores(scorer, [heard.vectors for heard in anomalous])
    return np.concatenate([own, others.mean(axis=0)])


def _left_out_scores(scorer: AnomalyScorer, enrolled: Sequence[HeardClip]) -> Float64Array:
    """Leave-one-clip-out scores by clip: the mean over those of its segments that were judged by others."""
    ends = np.cumsum([len(next(iter(heard.vectors.values()))) for heard in enrolled])
    pieces = [piece[np.isfinite(piece)] for piece in np.split(scorer.normal_scores, ends[:-1])]
    return np.array([piece.mean() for piece in pieces if len(piece)], np.float64)


def _refuse_unfinished(clips: Sequence[MachineClip], scores: Float64Array) -> None:
    for clip, score in zip(clips, scores, strict=True):
        if not np.isfinite(score):
            raise BundleError(f"{clip.path}: its anomaly score is {score}", fix="leave it out, or verify the bundle")


def _embeddings(tested: Sequence[HeardClip], specs: Sequence[RepresentationSpec]) -> Embeddings:
    """The network's output where there is one, else what weighs most."""
    chosen = max(specs, key=lambda spec: (spec.source == "model", spec.weight)).name
    return Embeddings(
        representation=chosen,
        vectors=np.stack([heard.vectors[chosen].mean(axis=0) for heard in tested]),
        conditions=tuple(heard.clip.condition for heard in tested),
        domains=tuple(heard.domain for heard in tested),
        sections=tuple(f"{heard.clip.machine}/{heard.clip.section}" for heard in tested),
    )


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key by which 10 comes after 9."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]
