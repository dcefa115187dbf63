"""The bank of a keyword monitor: templates of enrolled words, with everything fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.embed.bundle import Bundle
from edged.errors import EnrolmentError
from edged.flow import Embedding, Float32Array
from edged.frontend import BACKGROUND
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
from edged.references.templates import template_of_clip
from edged.score.keyword import KeywordModel

MONITOR = "keyword"
MAX_TEMPLATES = 500
_TEMPLATE, _MODEL = "template/", "model/"


@dataclass(frozen=True)
class KeywordBank:
    """Immutable references of one keyword monitor on one stream.

    Attributes:
        version: of the stored bank; 0 before it is stored.
        clips: every enrolled clip; its label is the word.
        templates: float32 (n_frames, dim) of every clip, in the same order.
        model: fitted to them.
    """

    version: int
    clips: tuple[ClipRecord, ...]
    templates: tuple[Float32Array, ...]
    model: KeywordModel

    @property
    def words(self) -> dict[str, int]:
        """Clips per word."""
        labels = [clip.label for clip in self.clips]
        return {label: labels.count(label) for label in dict.fromkeys(labels)}


def extended_bank(
    bundle: Bundle, current: KeywordBank | None, clips: Sequence[tuple[Clip, Sequence[Embedding]]], word: str
) -> KeywordBank:
    """A new bank: what the current one holds, and these clips of a word.

    Raises:
        EnrolmentError: a clip holds no usable word, all are enrolled already, or there would be too many.
    """
    fresh = fresh_clips(current.clips if current else (), clips)
    records = (*(current.clips if current else ()), *(record_of(clip, word) for clip, _ in fresh))
    templates = (*(current.templates if current else ()), *_templates(bundle, fresh))
    if len(templates) > MAX_TEMPLATES:
        raise EnrolmentError(f"the bank would hold more than {MAX_TEMPLATES} templates", fix="enrol fewer clips")
    return KeywordBank(0, records, templates, _fitted(bundle, records, templates))


def bank_to_store(bank: KeywordBank, bundle: Bundle) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Facts and arrays for the store."""
    facts = bundle_facts(bundle) | {"clips": records_as_facts(bank.clips), "threshold": bank.model.threshold}
    arrays: dict[str, NDArray[Any]] = {f"{_TEMPLATE}{index}": rows for index, rows in enumerate(bank.templates)}
    return facts, arrays | {_MODEL + name: value for name, value in bank.model.to_arrays().items()}


def bank_of_store(stored: StoredBank, bundle: Bundle) -> KeywordBank:
    """The bank as it was fitted; nothing is fitted again.

    Raises:
        StateError: it belongs to another bundle, or is damaged.
    """
    check_same_bundle(stored.facts, bundle, f"{stored.stream}/{stored.monitor}")
    records = records_of_facts(stored.facts)
    templates = tuple(stored.arrays[f"{_TEMPLATE}{index}"] for index in range(len(records)))
    arrays = {k.removeprefix(_MODEL): v for k, v in stored.arrays.items() if k.startswith(_MODEL)}
    words = tuple(dict.fromkeys(record.label for record in records))
    return KeywordBank(stored.version, records, templates, KeywordModel.from_arrays(arrays, words))


def _templates(bundle: Bundle, clips: Sequence[tuple[Clip, Sequence[Embedding]]]) -> list[Float32Array]:
    name, hop = bundle.manifest.representations[0].name, int(bundle.manifest.features["hop_samples"])
    templates, problems = [], []
    for clip, embeddings in clips:
        rows = np.concatenate([_valid_rows(embedding, name, hop) for embedding in embeddings])
        try:
            templates.append(template_of_clip(clip.name, clip.samples, rows, hop))
        except EnrolmentError as error:
            problems.append(str(error))
    if problems:
        raise EnrolmentError(f"{len(problems)} clips refused, nothing enrolled:\n  " + "\n  ".join(problems))
    return templates


def _valid_rows(embedding: Embedding, name: str, hop_samples: int) -> Float32Array:
    n_valid = -(-(embedding.sample_end - embedding.sample_start) // hop_samples)
    return embedding.vectors[name][:n_valid]


def _fitted(bundle: Bundle, records: Sequence[ClipRecord], templates: Sequence[Float32Array]) -> KeywordModel:
    by_word: dict[str, list[Float32Array]] = {}
    for record, template in zip(records, templates, strict=True):
        by_word.setdefault(record.label, []).append(template)
    limit = float(bundle.manifest.decision["limit_distance"])
    return KeywordModel.fit(by_word, bundle.calibration[BACKGROUND], limit)
