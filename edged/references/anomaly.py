"""The bank of an anomaly monitor: normal sound by domain, with everything fitted to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edged.decide.thresholds import ALARM_SPREADS, alarm_threshold
from edged.embed.bundle import Bundle
from edged.errors import EnrolmentError
from edged.flow import Embedding
from edged.references.bank import (
    ClipRecord,
    bundle_facts,
    check_same_bundle,
    fresh_clips,
    record_of,
    records_as_facts,
    records_of_facts,
)
from edged.references.clips import Clip
from edged.references.fitting import UNKNOWN, FittedBy
from edged.references.joint import JointSpace
from edged.references.labelled import LabelledAnomaly, labelled_of_store, labelled_to_store, separation
from edged.references.reduction import Reduction, reduced
from edged.references.store import StoredBank
from edged.score.anomaly import AnomalyScorer, fit_anomaly
from edged.score.choices import DEFAULT, Scoring, chosen_specs
from edged.score.references import References

MONITOR: Literal["anomaly"] = "anomaly"
MAX_ROWS = 2_000
"""Segments of a bank: some ten seconds of fitting on a small computer, 14 MB stored."""
PIECE_SAMPLES = 640_000
PIECES_PER_CLIP = 1000
LEAST_CLIPS_APART = 3
"""With so many clips in a domain each of them is left out whole."""
_VECTORS, _SCORER = "vectors/", "scorer/"


@dataclass(frozen=True)
class AnomalyBank:
    """Immutable references of one anomaly monitor on one stream.

    Attributes:
        version: of the stored bank; 0 before it is stored.
        clips: every enrolled clip. `References.clips` number its pieces of 40 s, PIECES_PER_CLIP to a clip; see
            `left_out_together`.
        references: one set of vectors per representation of the bundle, rows aligned.
        scorer: fitted to them.
        threshold: anomaly score at which a segment counts as anomalous; never above `ceiling`.
        scoring: the back ends it is fitted by, as the configuration chose them then.
        labelled: sounds that are anomalies, whatever else resembles them.
        ceiling: no threshold may lie above this, or a labelled anomaly would pass; None = none is known.
        inseparable: events whose labelled anomaly cannot be told from normal sound, so that no threshold respects it.
        fitted_by: bundle and back ends of the scorer.
        reduction: which clips were given up when this version was made; not stored.
    """

    version: int
    clips: tuple[ClipRecord, ...]
    references: Mapping[str, References]
    scorer: AnomalyScorer
    threshold: float
    scoring: Scoring = DEFAULT
    labelled: tuple[LabelledAnomaly, ...] = ()
    ceiling: float | None = None
    inseparable: tuple[str, ...] = ()
    fitted_by: FittedBy = UNKNOWN
    reduction: Reduction | None = None

    @property
    def domains(self) -> dict[str, int]:
        """Clips per domain."""
        labels = [clip.label for clip in self.clips]
        return {label: labels.count(label) for label in dict.fromkeys(labels)}


def extended_bank(
    bundle: Bundle,
    current: AnomalyBank | None,
    clips: Sequence[tuple[Clip, Sequence[Embedding]]],
    domain: str,
    scoring: Scoring = DEFAULT,
) -> AnomalyBank:
    """A new bank: what the current one holds, and these clips as part of a domain; all of it is fitted anew.

    Beyond `MAX_ROWS` segments it keeps the clips that cover what it knows (see `edged.references.reduction`).

    Raises:
        ConfigError: the scoring does not fit the bundle.
        EnrolmentError: all clips are enrolled already; the bank is full and would keep none of these clips, or none of
            some domain.
    """
    fresh = fresh_clips(current.clips if current else (), clips)
    old_records = current.clips if current else ()
    records = (*old_records, *(record_of(clip, domain, embeddings) for clip, embeddings in fresh))
    names = [spec.name for spec in bundle.manifest.representations]
    references = {name: _joined(current, name, fresh, len(old_records), domain) for name in names}
    labelled = current.labelled if current else ()
    if len(references[names[0]]) <= MAX_ROWS:
        return fitted_bank(bundle, records, references, scoring, labelled)
    reduction = _reduction(bundle, records, references, scoring)
    _check_worth_it(records, len(old_records), reduction)
    records, references = _selected(records, references, reduction.kept)
    return replace(fitted_bank(bundle, records, references, scoring, labelled), reduction=reduction)


def fitted_bank(
    bundle: Bundle,
    clips: tuple[ClipRecord, ...],
    references: Mapping[str, References],
    scoring: Scoring = DEFAULT,
    labelled: tuple[LabelledAnomaly, ...] = (),
) -> AnomalyBank:
    """Fit scorer and threshold to references.

    Raises:
        ConfigError: the scoring does not fit the bundle.
    """
    specs = chosen_specs(bundle.manifest.representations, scoring)
    scorer = fit_anomaly(specs, {name: left_out_together(set_) for name, set_ in references.items()})
    fitted = AnomalyBank(0, clips, references, scorer, 0.0, scoring, fitted_by=FittedBy.of(bundle, specs))
    return labelled_bank(bundle, fitted, labelled)


def left_out_together(references: References) -> References:
    """What is left out as one when the references judge each other: a whole clip, where its domain has three.

    Two recordings of a machine differ by more than the pieces of one do, and the threshold has to bear that. Of one or
    two long recordings only pieces can be left out.
    """
    domains, clips = references.domain_numbers, references.clips // PIECES_PER_CLIP
    n_clips = np.array([len(set(clips[domains == domain].tolist())) for domain in range(domains.max() + 1)])
    together = np.where(n_clips[domains] >= LEAST_CLIPS_APART, clips * PIECES_PER_CLIP, references.clips)
    return References(references.vectors, references.domains, together.astype(np.int64))


def labelled_bank(bundle: Bundle, bank: AnomalyBank, labelled: tuple[LabelledAnomaly, ...]) -> AnomalyBank:
    """The same references with these labels; the threshold goes below them where normal sound allows it."""
    spreads = float(bundle.manifest.decision.get("threshold_spreads", ALARM_SPREADS))
    threshold = alarm_threshold(bank.scorer.normal_scores, spreads=spreads)
    apart = separation(bank.scorer, labelled, next(iter(bank.references.values())).clips)
    if apart.ceiling is not None:
        threshold = min(threshold, apart.ceiling)
    return replace(bank, threshold=threshold, labelled=labelled, ceiling=apart.ceiling, inseparable=apart.inseparable)


def bank_without(bundle: Bundle, bank: AnomalyBank, clips: Collection[int]) -> AnomalyBank:
    """Fitted as if these clips (their numbers) had never been enrolled; without labels."""
    kept = [number for number in range(len(bank.clips)) if number not in clips]
    return fitted_bank(bundle, *_selected(bank.clips, bank.references, kept), bank.scoring)


def check_scoring(bundle: Bundle, scoring: Scoring) -> None:
    """Refuse a scoring that could not be fitted.

    Raises:
        ConfigError: it does not fit the bundle.
    """
    chosen_specs(bundle.manifest.representations, scoring)


def bank_to_store(bank: AnomalyBank, bundle: Bundle) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Facts and arrays for the store."""
    first = next(iter(bank.references.values()))
    labelled, labelled_arrays = labelled_to_store(bank.labelled)
    facts = bundle_facts(bundle) | {
        "clips": records_as_facts(bank.clips),
        "domains": list(first.domains),
        "threshold": bank.threshold,
        "scoring": bank.scoring,
        "fitted_with": bank.fitted_by.bundle,
        "backends": [dict(backend) for backend in bank.fitted_by.backends],
        "labelled": labelled,
        "ceiling": bank.ceiling,
        "inseparable": list(bank.inseparable),
    }
    arrays: dict[str, NDArray[Any]] = {"clip_of_row": first.clips} | labelled_arrays
    arrays |= {_VECTORS + name: set_.vectors for name, set_ in bank.references.items()}
    arrays |= {_SCORER + name: value for name, value in bank.scorer.to_arrays().items()}
    return facts, arrays


def bank_of_store(stored: StoredBank, bundle: Bundle) -> AnomalyBank:
    """The bank as it was fitted; nothing is fitted again.

    Raises:
        StateError: it belongs to another bundle, or is damaged.
    """
    check_same_bundle(stored.facts, bundle, f"{stored.stream}/{stored.monitor}")
    domains = tuple(stored.facts["domains"])
    clip_of_row = stored.arrays["clip_of_row"]
    references = {
        spec.name: References(stored.arrays[_VECTORS + spec.name], domains, clip_of_row)
        for spec in bundle.manifest.representations
    }
    arrays = {k.removeprefix(_SCORER): v for k, v in stored.arrays.items() if k.startswith(_SCORER)}
    scorer = AnomalyScorer.from_arrays(arrays)
    records = records_of_facts(stored.facts)
    facts = stored.facts
    return AnomalyBank(
        stored.version, records, references, scorer, float(facts["threshold"]), facts.get("scoring", DEFAULT),
        labelled_of_store(facts.get("labelled", ()), stored.arrays), facts.get("ceiling"),
        tuple(facts.get("inseparable", ())), FittedBy.of_facts(facts, scorer),
    )  # fmt: skip


def _reduction(
    bundle: Bundle, records: Sequence[ClipRecord], references: Mapping[str, References], scoring: Scoring
) -> Reduction:
    specs = chosen_specs(bundle.manifest.representations, scoring)
    vectors = {name: set_.vectors for name, set_ in references.items()}
    space = JointSpace.of(vectors, {spec.name: spec.weight for spec in specs if spec.weight > 0})
    clip_of_row = next(iter(references.values())).clips // PIECES_PER_CLIP
    return reduced(space.points(vectors), clip_of_row, [record.label for record in records], MAX_ROWS)


def _check_worth_it(records: Sequence[ClipRecord], n_old: int, reduction: Reduction) -> None:
    full = f"the bank is full ({MAX_ROWS} segments)"
    lost = {record.label for record in records} - {records[clip].label for clip in reduction.kept}
    if lost:
        fix = "enrol shorter clips, or fewer domains (`edged references remove` begins anew)"
        raise EnrolmentError(f"{full}: no clip of domain '{min(lost)}' would find room", fix=fix)
    if max(reduction.kept) < n_old:
        raise EnrolmentError(f"{full}, and what is enrolled covers these clips: nothing is to be gained by them")


def _selected(
    records: Sequence[ClipRecord], references: Mapping[str, References], clips: Sequence[int]
) -> tuple[tuple[ClipRecord, ...], dict[str, References]]:
    """Some of the clips, numbered anew in their order."""
    number = np.full(len(records), -1)
    number[list(clips)] = np.arange(len(clips))
    chosen = {}
    for name, set_ in references.items():
        own = set_.select(number[set_.clips // PIECES_PER_CLIP] >= 0)
        renumbered = number[own.clips // PIECES_PER_CLIP] * PIECES_PER_CLIP + own.clips % PIECES_PER_CLIP
        chosen[name] = References(own.vectors, own.domains, renumbered.astype(np.int64))
    return tuple(records[clip] for clip in clips), chosen


def _joined(
    current: AnomalyBank | None,
    name: str,
    fresh: Sequence[tuple[Clip, Sequence[Embedding]]],
    first_clip: int,
    domain: str,
) -> References:
    vectors = np.stack([embedding.vectors[name] for _, embeddings in fresh for embedding in embeddings])
    clips = np.array(
        [
            (first_clip + number) * PIECES_PER_CLIP + embedding.sample_start // PIECE_SAMPLES
            for number, (_, embeddings) in enumerate(fresh)
            for embedding in embeddings
        ]
    )
    added = References(vectors.astype(np.float32), (domain,) * len(vectors), clips.astype(np.int64))
    if current is None:
        return added
    old = current.references[name]
    return References(
        np.concatenate([old.vectors, added.vectors]),
        old.domains + added.domains,
        np.concatenate([old.clips, added.clips]),
    )
