"""Words missed at 0.5, 1 and 5 false alarms per hour of continuous audio, beside MFCC + the same DTW.

    python tests/bench/keyword_misses.py [--bundle DIR] [--draws 3] [--write]

    telephone   5 wake words in telephone sentences; beside them coffee orders and wake phrases, which hold none of them
    orders      10 words in coffee orders; beside them telephone sentences and wake phrases
    phrases     2 wake phrases behind coffee orders in ESC-10 noise at 10 dB; beside them telephone sentences and orders
                in the same kind of noise

Five shots per word, one threshold for all words of a set. Nothing of what is judged was trained on, but the kinds of
noise were. What is found where it was not spoken, in whichever file, is a false alarm. Mean and standard deviation over
draws of the shots.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.data.clips import data_directory
from trainer.data.keywords import read_audio
from trainer.evaluate.anomaly import write_between_marks
from trainer.evaluate.keyword_misses import miss_rate
from trainer.evaluate.keyword_sets import (
    ORDER_WORDS,
    Audio,
    Task,
    anywhere_in_clip,
    in_noise,
    orders_task,
    phrases_task,
    telephone_task,
)
from trainer.evaluate.keyword_trial import System, enrolled, mfcc_system, product_system, spot

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- keyword-misses: begin -->", "<!-- keyword-misses: end -->")
RATES = (0.5, 1.0, 5.0)
SNR_DB = 10.0
BACKGROUND = {
    "telephone": ("barista/*.flac", "wakewords/*/*"),
    "orders": ("wuw2/*_00[6-9].flac", "wuw2/*_010.flac", "wakewords/*/*"),
    "phrases": ("wuw2/*_00[6-9].flac", "wuw2/*_010.flac", "barista/*.flac"),
}


@dataclass(frozen=True)
class Trial:
    """One set: how a draw is made, whether phrases count anywhere in their clip, and whether all is in noise."""

    make: Callable[[Path, int], tuple[Task, Audio]]
    phrases: bool = False


TRIALS = {
    "telephone": Trial(telephone_task),
    "orders": Trial(lambda data, seed: orders_task(data, seed, ORDER_WORDS)),
    "phrases": Trial(lambda data, seed: phrases_task(data, seed, SNR_DB), phrases=True),
}


def background(data: Path, name: str, *, noisy: bool) -> Iterator[tuple[str, Float32Array]]:
    """Speech without the words of a set; in noise if its words are."""
    rng = np.random.default_rng(17)
    noises = [read_audio(path) for path in sorted((data / "noise" / "esc10").glob("*.ogg"))[::7]] if noisy else []
    for pattern in BACKGROUND[name]:
        for path in sorted((data / "speech").glob(pattern)):
            samples = read_audio(path)
            yield str(path), in_noise(rng, [samples], noises, SNR_DB) if noisy else samples


def embedded(system: System, audio: Mapping[str, Float32Array] | Iterator[tuple[str, Float32Array]], note: str) -> dict:
    """File -> its rows as float16, which keeps hours in memory."""
    items = audio.items() if isinstance(audio, Mapping) else audio
    return {name: system.embed(samples).astype(np.float16) for name, samples in tqdm(items, desc=note, leave=False)}


def figures(name: str, trial: Trial, data: Path, system: System, draws: int) -> tuple[np.ndarray, float]:
    """Miss rates (draws, back ends, RATES) and the hours listened to in a draw."""
    silent = embedded(system, background(data, name, noisy=trial.phrases), name)
    cache: dict[str, np.ndarray] = {}
    rates, hours = [], 0.0
    for seed in range(draws):
        task, audio = trial.make(data, seed)
        wanted = audio if trial.phrases else {file: audio[file] for file in audio if file not in cache}
        cache |= embedded(system, wanted, f"{name} {seed}")
        rows = {file: cache[file] for file in task.spoken} | silent
        hours = sum(map(len, rows.values())) * 256 / SAMPLE_RATE_HZ / 3600
        spoken = {file: task.spoken.get(file, ()) for file in rows}
        per_back_end = []
        for raw in spot(enrolled(task, system), {file: r.astype(np.float32) for file, r in rows.items()}):
            found = {file: anywhere_in_clip(raw[file], spoken[file]) for file in raw} if trial.phrases else raw
            per_back_end.append([miss_rate(found, spoken, hours=hours, false_alarms_per_hour=r) for r in RATES])
        rates.append(per_back_end)
    return np.array(rates), hours


def cells(rates: np.ndarray) -> str:
    """Mean ± deviation at every rate: (draws, RATES)."""
    return " / ".join(f"{m:.2f} ± {s:.2f}" for m, s in zip(rates.mean(axis=0), rates.std(axis=0), strict=True))


def main() -> None:
    """Print the table; optionally write it into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "edged" / "bundles" / "keyword")
    parser.add_argument("--draws", type=int, default=3, help="of the shots")
    parser.add_argument("--write", action="store_true", help="into trainer/README.md")
    arguments = parser.parse_args()
    data = data_directory()
    product, _ = product_system(arguments.bundle)
    mfcc = mfcc_system(data)
    head = f"misses at 0.5 / 1 / 5 false alarms per hour, 5 shots, {arguments.draws} draws"
    lines = [f"| {head} | hours | MFCC + DTW, plain | MFCC + DTW, our back end | **edged** |", "|---|---:|---|---|---|"]
    for name, trial in TRIALS.items():
        peer, _ = figures(name, trial, data, mfcc, arguments.draws)
        ours, hours = figures(name, trial, data, product, arguments.draws)
        lines.append(f"| {name} | {hours:.1f} | {cells(peer[:, 0])} | {cells(peer[:, 1])} | {cells(ours[:, 1])} |")
        print(lines[-1], flush=True)
    text = "\n".join(lines)
    print(text)
    if arguments.write:
        write_between_marks(ROOT / "trainer" / "README.md", text, MARKS)


if __name__ == "__main__":
    main()
