"""How long after the end of a word its event comes, in samples of the stream that had been heard by then.

    python tests/bench/keyword_delay.py [--files 120] [--write]

    synthetic   words joined into sentences without pauses: the end of a word is known to the sample
    telephone   WUW-II (times by ear), orders: barista (automatic times); where the data pack is there

Five shots per word, other voices than those judged. The stream comes in blocks of 40 ms, as from a microphone, through
the monitor that the daemon runs; the daemon itself adds what it takes to compute (`edged bench`). Of every word found
(onset within 0.25 s) the delay counts from the end of the word to the end of the block that brought the event.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

import numpy as np

from edged.assembly import open_bundle
from edged.config import KeywordSettings
from edged.embed.onnx import OnnxEmbedder
from edged.features.activity import sound_span
from edged.flow import SAMPLE_RATE_HZ, Block, Detection, Float32Array
from edged.pipeline import KeywordMonitor
from edged.references.keyword import KeywordBank
from edged.score.keyword import KeywordModel
from trainer.data.clips import data_directory
from trainer.data.speech_synth import available_engines
from trainer.data.words import random_sentence
from trainer.evaluate.anomaly import write_between_marks
from trainer.evaluate.keyword_sets import ORDER_WORDS, Audio, Task, orders_task, telephone_task
from trainer.evaluate.keyword_trial import enrolled, product_system
from trainer.evaluate.spotting import Spoken, Spotted, matched

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- keyword-delay: begin -->", "<!-- keyword-delay: end -->")
BLOCK_SAMPLES = 640
WORDS = ("cappuccino", "forklift", "maintenance", "elevator", "conveyor", "gasoline")


@dataclass(frozen=True)
class Reported:
    """An event, and how much had been heard when it came."""

    event: Detection
    heard_samples: int


def synthetic_task(n_files: int) -> tuple[Task, Audio]:
    """Sentences, a word, half of the time another sentence; then silence."""
    rng = np.random.default_rng(4)
    engines = list(available_engines().values())

    def say(text: str) -> Float32Array:
        samples = engines[int(rng.integers(len(engines)))](rng, text).samples
        first, last = sound_span(samples) or (0, len(samples))
        return (0.1 / max(float(np.std(samples[first:last])), 1e-6) * samples[first:last]).astype(np.float32)

    pause = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    shots = {word: [np.pad(say(word), 1_600) for _ in range(5)] for word in WORDS}
    audio, spoken = {}, {}
    for number in range(n_files):
        word, name = WORDS[number % len(WORDS)], f"{number:04d}"
        before, said = say(random_sentence(rng, 4)), say(word)
        after = say(random_sentence(rng, 4)) if number % 2 else pause[:0]
        signal = np.concatenate([pause, before, said, after, pause])
        audio[name] = signal + (0.0005 * rng.standard_normal(len(signal))).astype(np.float32)
        onset_s = (len(pause) + len(before)) / SAMPLE_RATE_HZ
        spoken[name] = [Spoken(word, onset_s, onset_s + len(said) / SAMPLE_RATE_HZ)]
    return Task(shots, spoken), audio


class Listener:
    """The monitor of a stream, with the words of a model."""

    def __init__(self, model: KeywordModel) -> None:
        self._bundle = open_bundle("keyword")
        self._embedder = OnnxEmbedder(self._bundle)
        self._bank = KeywordBank(1, (), model.templates, model)

    def reports(self, samples: Float32Array) -> Iterator[Reported]:
        """Events of a signal that goes on in silence, as they come."""
        monitor = KeywordMonitor("bench", self._bundle, KeywordSettings(), self._bank)
        signal = np.concatenate([samples, np.zeros(SAMPLE_RATE_HZ // 2, dtype=np.float32)])
        for at in range(0, len(signal), BLOCK_SAMPLES):
            for embedding in self._embedder.embed(monitor.push(Block(at, signal[at : at + BLOCK_SAMPLES]))):
                for event in monitor.accept(embedding).detections:
                    yield Reported(event, min(at + BLOCK_SAMPLES, len(signal)))


def delays_s(task: Task, audio: Audio, n_files: int) -> tuple[list[float], list[int]]:
    """Of every word found; and how many words were spoken, how many events there were."""
    system, limit = product_system(ROOT / "edged" / "bundles" / "keyword")
    model = enrolled(task, system)
    listener = Listener(KeywordModel(**{**vars(model), "limit": limit}))
    delays, counts = [], [0, 0]
    for name in islice((name for name in task.spoken if task.spoken[name]), n_files):
        reports = list(listener.reports(audio[name]))
        found = [Spotted(r.event.keyword, r.event.onset_sample / SAMPLE_RATE_HZ, 0.0, -r.event.score) for r in reports]
        counts[0] += len(task.spoken[name])
        counts[1] += len(found)
        for hit, report, spotted in zip(matched(found, task.spoken[name]), reports, found, strict=True):
            if hit:
                mine = [said for said in task.spoken[name] if said.word == spotted.word]
                said = min(mine, key=lambda one: abs(one.onset_s - spotted.onset_s))
                delays.append(report.heard_samples / SAMPLE_RATE_HZ - said.offset_s)
    return delays, counts


def row(name: str, task: Task, audio: Mapping[str, Float32Array], n_files: int) -> str:
    """One line of the table."""
    delays, (n_spoken, n_events) = delays_s(task, audio, n_files)
    middle, most, late = (1000.0 * float(np.percentile(delays, share)) for share in (50, 90, 95))
    score = 2.0 * len(delays) / max(1, n_spoken + n_events)
    return f"| {name} | {n_spoken} | {score:.2f} | {middle:.0f} | {most:.0f} | {late:.0f} |"


def main() -> None:
    """Print the table; optionally write it into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=120, help="of each set, at most")
    parser.add_argument("--write", action="store_true", help="into edged/README.md")
    arguments = parser.parse_args()
    data = data_directory()
    lines = ["| words | spoken | F1 | delay, median (ms) | 90 % | 95 % |", "|---|---:|---:|---:|---:|---:|"]
    if available_engines():
        lines.append(row("synthetic", *synthetic_task(arguments.files), arguments.files))
        print(lines[-1], flush=True)
    if (data / "speech").is_dir():
        lines.append(row("telephone", *telephone_task(data, 0), arguments.files))
        print(lines[-1], flush=True)
        lines.append(row("orders", *orders_task(data, 0, ORDER_WORDS), arguments.files))
    text = "\n".join([*lines, "", f"{datetime.now(timezone.utc):%Y-%m-%d}; `python tests/bench/keyword_delay.py`."])
    print(text)
    if arguments.write:
        write_between_marks(ROOT / "edged" / "README.md", text, MARKS)


if __name__ == "__main__":
    main()
