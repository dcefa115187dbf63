"""The draws that table 31 is repeated on: telephone sentences and coffee orders of the data pack as one set of words.

As in KWS-DailyTalk there are fifteen words with five shots each, and two parts of sentences of which each holds any
number of the words: limits are tuned on one part and judged on the other. No caller is in two of shots, first and
second part; who speaks the orders is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trainer.data.keywords import read_recordings
from trainer.evaluate.keyword_sets import ORDER_WORDS, Audio, Task, orders_task, telephone_task
from trainer.evaluate.spotting import Spoken
from trainer.keyword_systems.embedder import Shots
from trainer.keyword_systems.system import SPEC, Draw, front_end_frames
from trainer.keyword_systems.tuning import Truth

N_TELEPHONE, N_ORDERS = 70, 36
"""Sentences of each part: about ten minutes each, as in KWS-DailyTalk."""


def make_draw(data: Path, seed: int, n_telephone: int = N_TELEPHONE, n_orders: int = N_ORDERS) -> Draw:
    """Draw shots and sentences, and compute their frames."""
    sources = [telephone_task(data, seed, context_s=0.0), orders_task(data, seed, ORDER_WORDS, context_s=0.0)]
    task = Task(
        {w: s for t, _ in sources for w, s in t.shots.items()}, {n: s for t, _ in sources for n, s in t.spoken.items()}
    )
    halves = [two_parts(t.spoken, seed, n) for (t, _), n in zip(sources, (n_telephone, n_orders), strict=True)]
    validation, test = ({name: truth for half in halves for name, truth in half[part].items()} for part in (0, 1))
    audio: Audio = {n: a for _, files in sources for n, a in files.items() if n in validation or n in test}
    shots = Shots(
        {word: [front_end_frames(clip) for clip in clips] for word, clips in task.shots.items()},
        [front_end_frames(noise) for noise in read_recordings(data / "noise" / "gsc_background")],
        SPEC.silence,
    )
    frames = {name: front_end_frames(samples) for name, samples in audio.items()}
    return Draw(task, audio, frames, shots, validation, test)


def two_parts(spoken: Mapping[str, Sequence[Spoken]], seed: int, n_each: int) -> tuple[Truth, Truth]:
    """Two parts of at most so many files each; files of one speaker (`SPEAKER_...`) are in the same part."""
    speakers = sorted({_speaker(name) for name in spoken})
    order = np.random.default_rng((seed, 1)).permutation(speakers).tolist()
    first = set(order[: len(order) // 2])
    names = np.random.default_rng((seed, 2)).permutation(sorted(spoken)).tolist()
    parts = [[n for n in names if (_speaker(n) in first) == is_first][:n_each] for is_first in (True, False)]
    return {n: spoken[n] for n in parts[0]}, {n: spoken[n] for n in parts[1]}


def _speaker(name: str) -> str:
    return name.partition("_")[0]
