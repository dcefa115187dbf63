"""The bank of an anomaly monitor: normal sound by domain, with everything fitted to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from edged.references.store import StoredBank
from edged.score.anomaly import AnomalyScorer, fit_anomaly
from edged.score.choices import DEFAULT, Scoring, chosen_specs
from edged.score.references import References

MONITOR: Literal["anomaly"] = "anomaly"
MAX_ROWS = 5_000
PIECE_SAMPLES = 640_000
PIECES_PER_CLIP = 1000
_VECTORS, _SCORER = "vectors/", "scorer/"


@dataclass(frozen=True)
class AnomalyBank:
    """Immutable references of one anomaly monitor on one stream.

    Attributes:
        version: of the stored bank; 0 before it is stored.
        clips: every enrolled clip. `References.clips` number its pieces of 40 s, PIECES_PER_CLIP to a clip, so that a
            single long recording can still be judged leaving one piece out.
        references: one set of vectors per representation of the bundle, rows aligned.
        scorer: fitted to them.
        threshold: anomaly score at which a segment counts as anomalous.
        scoring: the back ends it is fitted by, as the configuration chose them then.
    """

    version: int
    clips: tuple[ClipRecord, ...]
    references: Mapping[str, References]
    scorer: AnomalyScorer
    threshold: float
    scoring: Scoring = DEFAULT

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

    Raises:
        ConfigError: the scoring does not fit the bundle.
        EnrolmentError: all clips are enrolled already, or the bank would grow beyond its bound.
    """
    fresh = fresh_clips(current.clips if current else (), clips)
    old_records = current.clips if current else ()
    records = (*old_records, *(record_of(clip, domain, embeddings) for clip, embeddings in fresh))
    names = [spec.name for spec in bundle.manifest.representations]
    references = {name: _joined(current, name, fresh, len(old_records), domain) for name in names}
    if len(references[names[0]]) > MAX_ROWS:
        raise EnrolmentError(f"the bank would hold more than {MAX_ROWS} segments", fix="enrol fewer clips")
    return fitted_bank(bundle, records, references, scoring)


def fitted_bank(
    bundle: Bundle, clips: tuple[ClipRecord, ...], references: Mapping[str, References], scoring: Scoring = DEFAULT
) -> AnomalyBank:
    """Fit scorer and threshold to references.

    Raises:
        ConfigError: the scoring does not fit the bundle.
    """
    scorer = fit_anomaly(chosen_specs(bundle.manifest.representations, scoring), references)
    spreads = float(bundle.manifest.decision.get("threshold_spreads", ALARM_SPREADS))
    threshold = alarm_threshold(scorer.normal_scores, spreads=spreads)
    return AnomalyBank(0, clips, references, scorer, threshold, scoring)


def check_scoring(bundle: Bundle, scoring: Scoring) -> None:
    """Refuse a scoring that could not be fitted.

    Raises:
        ConfigError: it does not fit the bundle.
    """
    chosen_specs(bundle.manifest.representations, scoring)


def bank_to_store(bank: AnomalyBank, bundle: Bundle) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Facts and arrays for the store."""
    first = next(iter(bank.references.values()))
    facts = bundle_facts(bundle) | {
        "clips": records_as_facts(bank.clips),
        "domains": list(first.domains),
        "threshold": bank.threshold,
        "scoring": bank.scoring,
    }
    arrays: dict[str, NDArray[Any]] = {"clip_of_row": first.clips}
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
    threshold, scoring = float(stored.facts["threshold"]), stored.facts.get("scoring", DEFAULT)
    return AnomalyBank(stored.version, records, references, scorer, threshold, scoring)


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
