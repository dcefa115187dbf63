"""Keyword sets made of the data pack: five shots of each word, and files with what is spoken in them.

telephone   WUW-II: 5 wake words; shots spoken alone by five callers, judged in sentences of other callers
orders      barista: words cut from sentences, judged in all other sentences (automatic times, speakers not labelled)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.data.keywords import read_audio
from trainer.evaluate.spotting import Spoken

N_SHOTS = 5
LONG_WORDS = ("cappuccino", "americano", "espresso", "sweetener", "sixteen")
ORDER_WORDS = (*LONG_WORDS, "latte", "medium", "coffee", "sugar", "mocha")
CONTEXT_S = 0.1
MIN_SHOT_S, MAX_SHOT_S = 0.2, 1.2

Audio = Mapping[str, Float32Array]
"""File -> its samples."""


class Files(Audio):
    """Files of a folder that are read when they are asked for.

    Args:
        names: of the files that count.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = folder, tuple(names)

    def __getitem__(self, name: str) -> Float32Array:
        """Samples of a file."""
        return read_audio(self._folder / name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class Task:
    """One draw: the shots of each word, and files with what is spoken in them."""

    shots: Mapping[str, Sequence[Float32Array]]
    spoken: Mapping[str, Sequence[Spoken]]


def telephone_task(data: Path, seed: int, context_s: float = CONTEXT_S) -> tuple[Task, Audio]:
    """WUW-II: shots alone from five callers (no other file of these is judged), sentences of all others."""
    folder = data / "speech" / "wuw2"
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    rng = np.random.default_rng(seed)
    callers = sorted({note["session"] for note in truth.values()})
    donors = set(rng.permutation(callers)[:20])
    shots, used = {}, set()
    for word in sorted({note["keyword"] for note in truth.values() if note["keyword"]}):
        alone = [n for n, note in truth.items() if note["keyword"] == word and _utterance(n) <= 5]
        chosen = _one_per_caller(rng.permutation([n for n in alone if truth[n]["session"] in donors]).tolist(), truth)
        spans = [(n, truth[n]["start_s"], truth[n]["end_s"]) for n in chosen]
        shots[word] = [cut(read_audio(folder / n), start_s, end_s, context_s) for n, start_s, end_s in spans]
        used |= {truth[n]["session"] for n in chosen}
    judged = [n for n, note in truth.items() if _utterance(n) > 5 and note["session"] not in used]
    spoken = {n: _spoken(truth[n]) for n in judged}
    return Task(shots, spoken), Files(folder, judged)


def _utterance(name: str) -> int:
    return int(Path(name).stem[-3:])


def _spoken(note: Mapping[str, Any]) -> list[Spoken]:
    return [Spoken(note["keyword"], note["start_s"], note["end_s"])] if note["keyword"] else []


def _one_per_caller(names: Sequence[str], truth: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The first file of each caller, five in all."""
    chosen: dict[str, str] = {}
    for name in names:
        chosen.setdefault(truth[name]["session"], name)
    return list(chosen.values())[:N_SHOTS]


def cut(samples: Float32Array, start_s: float, end_s: float, context_s: float = CONTEXT_S) -> Float32Array:
    """A clip around a word, as an operator would cut it: a little more on either side."""
    first, last = int((start_s - context_s) * SAMPLE_RATE_HZ), int((end_s + context_s) * SAMPLE_RATE_HZ)
    return samples[max(0, first) : last]


def orders_task(data: Path, seed: int, words: Sequence[str], context_s: float = CONTEXT_S) -> tuple[Task, Audio]:
    """Barista: shots cut from sentences, judged in the sentences no shot came from."""
    folder = data / "speech" / "barista"
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    names = np.random.default_rng(seed).permutation(sorted(truth)).tolist()
    shots: dict[str, list[Float32Array]] = {word: [] for word in words}
    used = set()
    for word in words:
        for name in names:
            spans = [(s, e) for said, s, e in truth[name] if said == word and MIN_SHOT_S < e - s < MAX_SHOT_S]
            if spans and name not in used and len(shots[word]) < N_SHOTS:
                shots[word].append(cut(read_audio(folder / name), *spans[0], context_s))
                used.add(name)
    judged = [name for name in names if name not in used]
    spoken = {n: [Spoken(w, start, end) for w, start, end in truth[n] if w in words] for n in judged}
    return Task(shots, spoken), Files(folder, judged)
