"""The bank of a keyword monitor: templates of enrolled words, with everything fitted to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from edged.decide.near_misses import NearMisses
from edged.embed.bundle import Bundle
from edged.errors import EnrolmentError
from edged.flow import Float32Array
from edged.frontend import background_rows, keyword_reach
from edged.references.bank import (
    ClipRecord,
    bundle_facts,
    check_same_bundle,
    record_of,
    records_as_facts,
    records_of_facts,
)
from edged.references.counters import CounterWord, counters_of_store, counters_to_store, joined
from edged.references.keyword_fit import (
    FittedWords,
    fitted_words,
    near_misses_of_arrays,
    near_misses_to_arrays,
)
from edged.references.store import StoredBank
from edged.references.templates import SpokenClip
from edged.score.barycentre import representative
from edged.score.keyword import KeywordModel
from edged.score.verification import counter_key

MONITOR: Literal["keyword"] = "keyword"
MAX_TEMPLATES = 500
_TEMPLATE, _MODEL, _VERIFIER = "template/", "model/", "verifier/"


@dataclass(frozen=True)
class KeywordBank:
    """Immutable references of one keyword monitor on one stream.

    Attributes:
        version: of the stored bank; 0 before it is stored.
        clips: every enrolled clip; its label is the word.
        templates: float32 (n_frames, dim) of every clip, in the same order.
        model: fitted to them.
        averaged: words that the model holds as averages of their templates.
        counters: words that enrolled ones must not be taken for.
        verifier: fitted to them and their words; None where there are none.
        near_misses: what came near to each word in the bundle's background; empty in banks of before it was kept.
        measured_by: as in `FittedWords`.
    """

    version: int
    clips: tuple[ClipRecord, ...]
    templates: tuple[Float32Array, ...]
    model: KeywordModel
    averaged: tuple[str, ...] = ()
    counters: tuple[CounterWord, ...] = ()
    verifier: KeywordModel | None = None
    near_misses: tuple[NearMisses, ...] = ()
    measured_by: str = ""

    @property
    def words(self) -> dict[str, int]:
        """Clips per word."""
        labels = [clip.label for clip in self.clips]
        return {label: labels.count(label) for label in dict.fromkeys(labels)}

    def templates_of(self, word: str) -> list[Float32Array]:
        """Templates of the clips of a word."""
        return [rows for clip, rows in zip(self.clips, self.templates, strict=True) if clip.label == word]


def extended_bank(
    bundle: Bundle,
    current: KeywordBank | None,
    clips: Sequence[SpokenClip],
    word: str,
    *,
    counters: Sequence[CounterWord] = (),
    average: bool = False,
) -> KeywordBank:
    """A new bank: what the current one holds, and these clips of a word, none of which it has.

    Args:
        counters: more words that enrolled ones must not be taken for.
        average: whether the model shall hold the word as averages of its templates.

    Raises:
        EnrolmentError: there would be too many templates.
    """
    records = (*(current.clips if current else ()), *(record_of(clip.clip, word) for clip in clips))
    templates = (*(current.templates if current else ()), *(clip.template for clip in clips))
    every_counter = joined(current.counters if current else (), counters)
    if len(templates) + sum(len(one.templates) for one in every_counter) > MAX_TEMPLATES:
        raise EnrolmentError(f"the bank would hold more than {MAX_TEMPLATES} templates", fix="enrol fewer clips")
    averaged = tuple(dict.fromkeys([*(current.averaged if current else ()), *([word] if average else [])]))
    return _fitted(bundle, records, templates, averaged, every_counter, current=current)


def counter_word(word: str, name: str, clips: Sequence[SpokenClip]) -> CounterWord:
    """Clips of a word that another one must not be taken for."""
    records = tuple(record_of(clip.clip, name) for clip in clips)
    return CounterWord(word, name, records, tuple(clip.template for clip in clips))


def bank_to_store(bank: KeywordBank, bundle: Bundle) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Facts and arrays for the store."""
    counters, counter_arrays = counters_to_store(bank.counters)
    facts = bundle_facts(bundle) | {
        "clips": records_as_facts(bank.clips),
        "threshold": bank.model.threshold,
        "averaged": list(bank.averaged),
        "counters": counters,
        "verified": list(bank.verifier.words) if bank.verifier else [],
        "measured_by": bank.measured_by,
    }
    arrays: dict[str, NDArray[Any]] = {f"{_TEMPLATE}{index}": rows for index, rows in enumerate(bank.templates)}
    arrays |= counter_arrays | _prefixed(_MODEL, bank.model) | near_misses_to_arrays(bank.near_misses)
    return facts, arrays | (_prefixed(_VERIFIER, bank.verifier) if bank.verifier else {})


def bank_of_store(stored: StoredBank, bundle: Bundle) -> KeywordBank:
    """The bank as it was fitted; nothing is fitted again.

    Raises:
        StateError: it belongs to another bundle, or is damaged.
    """
    facts = stored.facts
    check_same_bundle(facts, bundle, f"{stored.stream}/{stored.monitor}")
    records = records_of_facts(facts)
    templates = tuple(stored.arrays[f"{_TEMPLATE}{index}"] for index in range(len(records)))
    model = _model_of(stored, _MODEL, dict.fromkeys(record.label for record in records))
    verified = [str(word) for word in facts.get("verified", ())]
    return KeywordBank(
        stored.version, records, templates, model, tuple(facts.get("averaged", ())),
        counters_of_store(facts.get("counters", ()), stored.arrays),
        _model_of(stored, _VERIFIER, verified) if verified else None,
        near_misses_of_arrays(stored.arrays, len(model.words)), str(facts.get("measured_by", "")),
    )  # fmt: skip


def _prefixed(prefix: str, model: KeywordModel) -> dict[str, NDArray[Any]]:
    return {prefix + name: value for name, value in model.to_arrays().items()}


def _model_of(stored: StoredBank, prefix: str, words: Iterable[str]) -> KeywordModel:
    arrays = {k.removeprefix(prefix): v for k, v in stored.arrays.items() if k.startswith(prefix)}
    return KeywordModel.from_arrays(arrays, tuple(words))


def _fitted(
    bundle: Bundle,
    records: tuple[ClipRecord, ...],
    templates: tuple[Float32Array, ...],
    averaged: tuple[str, ...],
    counters: tuple[CounterWord, ...],
    *,
    current: KeywordBank | None,
) -> KeywordBank:
    by_word: dict[str, Sequence[Float32Array]] = {}
    for record, template in zip(records, templates, strict=True):
        by_word[record.label] = [*by_word.get(record.label, ()), template]
    by_word |= {word: _average(word, by_word[word], current) for word in averaged if word in by_word}
    known = FittedWords(current.model, current.near_misses, current.measured_by) if current else None
    words = fitted_words(bundle, by_word, known)
    verified = {one.word: by_word[one.word] for one in counters if one.word in by_word}
    verified |= {counter_key(one.word, one.name): one.templates for one in counters}
    fixed = words.model.limit, keyword_reach(bundle), words.model.brevity_weight
    verifier = KeywordModel.fit(verified, background_rows(bundle), *fixed) if counters else None
    told = words.near_misses, words.measured_by
    return KeywordBank(0, records, templates, words.model, averaged, counters, verifier, *told)


def _average(word: str, templates: Sequence[Float32Array], current: KeywordBank | None) -> Sequence[Float32Array]:
    """What stands for a word's clips; where they are the current bank's, that is known."""
    if current and word in current.averaged and len(current.templates_of(word)) == len(templates):
        return current.model.templates_of(current.model.words.index(word))
    return representative(templates)
