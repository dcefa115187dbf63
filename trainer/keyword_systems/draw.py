"""The draws that table 31 is repeated on: telephone sentences and coffee orders of the data pack as one set of words.

As in KWS-DailyTalk there are fifteen words with five shots each, and two parts of sentences of which each holds any
number of the words: limits are tuned on one part and judged on the other. No caller is in two of shots, first and
second part; who speaks the orders is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edged.errors import AudioError
from edged.flow import Float32Array
from trainer.data.dailytalk import find_sentences, keyword_clips, read_annotations, read_sentences, recordings_of
from trainer.data.keywords import read_audio, read_recordings
from trainer.evaluate.keyword_sets import ORDER_WORDS, Audio, orders_task, telephone_task
from trainer.evaluate.spotting import Spoken
from trainer.keyword_systems.embedder import Shots
from trainer.keyword_systems.system import SPEC, Draw, front_end_frames
from trainer.keyword_systems.tuning import Truth

TRAIN_TABLE = "train_keywords.csv"
PART_TABLES = (
    ("kws_dailytalk_validation.csv", "validation_sentences.csv"),
    ("kws_dailytalk_test.csv", "kws_splits_5shot_final_test_list.csv"),
)
"""KWS-DailyTalk's annotations, and the lists of all sentences, of its validation and its test split."""

N_TELEPHONE, N_ORDERS = 70, 36
"""Sentences of each part: about ten minutes each, as in KWS-DailyTalk."""


def make_draw(data: Path, seed: int, n_telephone: int = N_TELEPHONE, n_orders: int = N_ORDERS) -> Draw:
    """Draw shots and sentences of the data pack.

    Raises:
        AudioError: the data pack's sentences are not there.
    """
    for name in ("wuw2", "barista"):
        if not (data / "speech" / name / "truth.json").is_file():
            raise AudioError(
                f"{data}: holds no speech/{name}/truth.json", fix="name a folder in the data pack's layout"
            )
    sources = [telephone_task(data, seed, context_s=0.0), orders_task(data, seed, ORDER_WORDS, context_s=0.0)]
    halves = [two_parts(t.spoken, seed, n) for (t, _), n in zip(sources, (n_telephone, n_orders), strict=True)]
    validation, test = ({name: truth for half in halves for name, truth in half[part].items()} for part in (0, 1))
    shots = {word: clips for task, _ in sources for word, clips in task.shots.items()}
    audio = {name: files[name] for _, files in sources for name in files if name in validation or name in test}
    return draw_of(shots, validation, test, audio, read_recordings(data / "noise" / "gsc_background"))


def dailytalk_draw(tables: Path, audio: Path, background: Path) -> Draw:
    """KWS-DailyTalk as it is published: nothing is drawn, only weights differ from seed to seed.

    Args:
        tables: folder of its CSV files.
        audio: DailyTalk's data folder.
        background: recordings without speech, of Speech Commands in the thesis.

    Raises:
        AudioError: a table or a sentence is missing or wrong.
    """
    files = find_sentences(audio)
    shots: dict[str, list[Float32Array]] = {}
    for clip in keyword_clips(read_annotations(tables / TRAIN_TABLE), files):
        shots.setdefault(clip.word, []).append(clip.samples)
    validation, test = (_spoken_of(tables / table, tables / listed) for table, listed in PART_TABLES)
    missing = sorted((validation.keys() | test.keys()) - files.keys())
    if missing:
        raise AudioError(f"no audio of {', '.join(missing[:5])}", fix=f"name DailyTalk's data folder, not {audio}")
    samples = {name: read_audio(files[name]) for name in (*validation, *test)}
    return draw_of(shots, validation, test, samples, read_recordings(background))


def _spoken_of(table: Path, listed: Path) -> Truth:
    recordings = recordings_of(read_annotations(table), read_sentences(listed))
    return {name: [Spoken(e.label, e.onset_s, e.offset_s) for e in events] for name, events in recordings.items()}


def draw_of(
    shots: Mapping[str, Sequence[Float32Array]],
    validation: Truth,
    test: Truth,
    audio: Audio,
    background: Sequence[Float32Array],
) -> Draw:
    """Compute the frames of everything."""
    frames = Shots(
        {word: [front_end_frames(clip) for clip in clips] for word, clips in shots.items()},
        [front_end_frames(noise) for noise in background],
        SPEC.silence,
    )
    return Draw(shots, audio, {n: front_end_frames(a) for n, a in audio.items()}, frames, validation, test)


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
