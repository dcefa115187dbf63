"""Keyword sets made of the data pack: five shots of each word, and files with what is spoken in them.

telephone   WUW-II: 5 wake words; shots spoken alone by five callers, judged in sentences of other callers
orders      barista: words cut from sentences, judged in all other sentences (automatic times, speakers not labelled)
phrases     wake phrases, each behind a coffee order, in ESC-10 noise
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.augment.noise import cut_or_loop, mix_at_snr
from trainer.data.keywords import read_audio
from trainer.evaluate.spotting import Spoken, Spotted

N_SHOTS = 5
LONG_WORDS = ("cappuccino", "americano", "espresso", "sweetener", "sixteen")
ORDER_WORDS = (*LONG_WORDS, "latte", "medium", "coffee", "sugar", "mocha")
CONTEXT_S = 0.1
MIN_SHOT_S, MAX_SHOT_S = 0.2, 1.2
N_PHRASES = 40
PHRASE_TOLERANCE_S = 1.3

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


def phrases_task(data: Path, seed: int, snr_db: float = 10.0) -> tuple[Task, Audio]:
    """Wake phrases, each spoken after a coffee order, in noise; shots are clean.

    A phrase's own times are not known: see `anywhere_in_clip`.
    """
    rng = np.random.default_rng(seed)
    noises = [read_audio(path) for path in sorted((data / "noise" / "esc10").glob("*.ogg"))[::7]]
    orders = [read_audio(path) for path in rng.permutation(sorted((data / "speech" / "barista").glob("*.flac")))[:60]]
    shots, clips = {}, []
    for folder in sorted((data / "speech" / "wakewords").iterdir()):
        files = rng.permutation(sorted(folder.iterdir()))[: N_SHOTS + N_PHRASES]
        shots[folder.name] = [read_audio(path) for path in files[:N_SHOTS]]
        clips += [(folder.name, read_audio(path)) for path in files[N_SHOTS:]]
    audio, spoken = {}, {}
    for index, (word, clip) in enumerate(clips):
        order = orders[index % len(orders)]
        name = f"{index:03d}"
        audio[name] = in_noise(rng, [order, clip], noises, snr_db)
        middle_s = (len(order) + len(clip) / 2) / SAMPLE_RATE_HZ
        spoken[name] = [Spoken(word, middle_s, middle_s)]
    return Task(shots, spoken), audio


def in_noise(
    rng: np.random.Generator, parts: Sequence[Float32Array], noises: Sequence[Float32Array], snr_db: float
) -> Float32Array:
    """Recordings at the same level, one after the other, in one of the noises."""
    joined = np.concatenate([part * np.float32(0.1 / max(float(np.std(part)), 1e-6)) for part in parts])
    return mix_at_snr(joined, cut_or_loop(rng, noises[int(rng.integers(len(noises)))], len(joined)), snr_db)


def anywhere_in_clip(found: Sequence[Spotted], spoken: Sequence[Spoken]) -> list[Spotted]:
    """Findings that cover the middle of a spoken phrase's clip, moved onto it."""
    moved = list(found)
    for index, finding in enumerate(found):
        for said in spoken:
            distance_s = abs((finding.onset_s + finding.offset_s) / 2 - said.onset_s)
            if said.word == finding.word and distance_s < PHRASE_TOLERANCE_S:
                moved[index] = replace(finding, onset_s=said.onset_s)
    return moved
