"""Fits enrolled words to the background of the bundle: what each reaches, and what comes near to it there.

A word is fitted by itself, and only when its templates are new, or what words are measured by: the others keep their
numbers to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.decide.near_misses import FARTHEST, NearMissCollector, NearMisses
from edged.embed.bundle import Bundle
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from edged.frontend import brevity_weight, keyword_reach, measure_digest, speech_rows
from edged.score.dtw import StreamingDtw
from edged.score.keyword import KeywordModel

BACKGROUND_EVENTS = 128
"""Kept of each word: more than the tail is fitted to."""
_DISTANCES, _FACTS = "near/", "near_facts/"


@dataclass(frozen=True)
class FittedWords:
    """A model, and what came near to each of its words in the bundle's background.

    Attributes:
        near_misses: in the order of the words; empty for models that were fitted before they were kept.
        measured_by: `measure_digest` of the bundle they were fitted by; empty: of one before that was noted.
    """

    model: KeywordModel
    near_misses: tuple[NearMisses, ...] = ()
    measured_by: str = ""


def fitted_words(
    bundle: Bundle, templates: Mapping[str, Sequence[Float32Array]], known: FittedWords | None = None
) -> FittedWords:
    """Fit words; those that `known` holds with the same templates are taken over.

    Args:
        templates: word -> one or more (n_rows, dim); those of `known`'s model are taken as they are.
    """
    limit = float(bundle.manifest.decision["limit_distance"])
    model, measured_by = KeywordModel.unmeasured(templates, limit, brevity_weight(bundle)), measure_digest(bundle)
    old = _numbers_of(known) if known and known.measured_by == measured_by and known.model.limit == limit else {}
    own = {word: model.templates_of(place) for place, word in enumerate(model.words)}
    own |= {word: rows for word, (rows, _) in old.items() if word in own and _are_same(rows, templates[word])}
    numbers: list[tuple[float, NearMisses]] = []
    speech: Float32Array | None = None
    for word, rows in own.items():
        if word in old and _are_same(old[word][0], rows):
            numbers.append(old[word][1])
            continue
        speech = speech_rows(bundle) if speech is None else speech
        numbers.append(_fitted(bundle, word, rows, speech))
    ordinary = np.array([number for number, _ in numbers])
    model = replace(model, templates=tuple(chain.from_iterable(own.values())), ordinary=ordinary)
    return FittedWords(model, tuple(near for _, near in numbers), measured_by)


def near_misses_to_arrays(near_misses: Sequence[NearMisses]) -> dict[str, NDArray[Any]]:
    """For the store."""
    arrays: dict[str, NDArray[Any]] = {}
    for place, one in enumerate(near_misses):
        arrays[f"{_DISTANCES}{place:05d}"] = one.distances.astype(np.float32)
        arrays[f"{_FACTS}{place:05d}"] = np.array([one.hours, one.complete_below])
    return arrays


def near_misses_of_arrays(arrays: Mapping[str, NDArray[Any]], n_words: int) -> tuple[NearMisses, ...]:
    """Those of a stored bank; empty if it has none.

    Raises:
        ValueError: they are damaged.
    """
    if f"{_FACTS}{0:05d}" not in arrays:
        return ()
    found = []
    for place in range(n_words):
        hours, complete_below = np.asarray(arrays[f"{_FACTS}{place:05d}"], dtype=np.float64).tolist()
        distances = np.asarray(arrays[f"{_DISTANCES}{place:05d}"], dtype=np.float64)
        near = NearMisses(hours, distances, complete_below)
        if not near.is_sound or len(distances) > BACKGROUND_EVENTS:
            raise ValueError("near misses that cannot be")
        found.append(near)
    return tuple(found)


def _numbers_of(known: FittedWords) -> dict[str, tuple[list[Float32Array], tuple[float, NearMisses]]]:
    if len(known.near_misses) != len(known.model.words):
        return {}
    return {
        word: (known.model.templates_of(place), (float(known.model.ordinary[place]), known.near_misses[place]))
        for place, word in enumerate(known.model.words)
    }


def _are_same(some: Sequence[Float32Array], others: Sequence[Float32Array]) -> bool:
    return len(some) == len(others) and all(map(np.array_equal, some, others))


def _fitted(
    bundle: Bundle, word: str, templates: Sequence[Float32Array], speech: Float32Array
) -> tuple[float, NearMisses]:
    """The ordinary distance of a word, and what came near to it."""
    model = KeywordModel.unmeasured({word: templates}, 1.0, brevity_weight(bundle))
    distances, starts = model.combine(StreamingDtw(model.templates).push(speech))
    ordinary = keyword_reach(bundle).of(model.templates_of(0), distances[:, 0])
    hop_s = float(bundle.manifest.features["hop_samples"]) / SAMPLE_RATE_HZ
    collector = NearMissCollector(model.word_frames, hop_s, kept=BACKGROUND_EVENTS)
    collector.push(0, distances / ordinary, starts)
    collector.reset()
    near = collector.take()[0]
    return ordinary, replace(near, complete_below=min(near.complete_below, FARTHEST))
