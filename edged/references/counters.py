"""Counter-examples: clips of words that a keyword must not be taken for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edged.flow import Float32Array
from edged.references.bank import ClipRecord, records_as_facts, records_of_facts

_ARRAY = "counter/"


@dataclass(frozen=True)
class CounterWord:
    """A word that one enrolled word must not be taken for.

    Attributes:
        word: the enrolled one.
        name: what is spoken in the clips.
        clips: where they came from; their label is the name.
        templates: float32 (n_rows, dim) of each.
    """

    word: str
    name: str
    clips: tuple[ClipRecord, ...]
    templates: tuple[Float32Array, ...]


def joined(counters: Sequence[CounterWord], added: Sequence[CounterWord]) -> tuple[CounterWord, ...]:
    """Old and new ones; more clips of the same are put together, and none is taken twice."""
    by_name = {(one.word, one.name): one for one in counters}
    for one in added:
        old = by_name.get((one.word, one.name))
        known = {clip.sha256 for clip in old.clips} if old else set()
        fresh = [pair for pair in zip(one.clips, one.templates, strict=True) if pair[0].sha256 not in known]
        clips = (*(old.clips if old else ()), *(clip for clip, _ in fresh))
        templates = (*(old.templates if old else ()), *(template for _, template in fresh))
        by_name[one.word, one.name] = CounterWord(one.word, one.name, clips, templates)
    return tuple(by_name.values())


def counters_to_store(counters: Sequence[CounterWord]) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """Facts and arrays."""
    facts = [{"word": one.word, "name": one.name, "clips": records_as_facts(one.clips)} for one in counters]
    arrays: dict[str, NDArray[Any]] = {
        f"{_ARRAY}{number}/{index}": template
        for number, one in enumerate(counters)
        for index, template in enumerate(one.templates)
    }
    return facts, arrays


def counters_of_store(
    facts: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[Any]]
) -> tuple[CounterWord, ...]:
    """The reverse of `counters_to_store`."""
    found = []
    for number, one in enumerate(facts):
        clips = records_of_facts(one)
        templates = tuple(arrays[f"{_ARRAY}{number}/{index}"] for index in range(len(clips)))
        found.append(CounterWord(str(one["word"]), str(one["name"]), clips, templates))
    return tuple(found)
