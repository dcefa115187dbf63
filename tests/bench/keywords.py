"""How well words are spotted that were enrolled from five clips and never trained on, beside MFCC + the same DTW.

    python tests/bench/keywords.py [--bundle DIR] [--draws 5] [--write]

    telephone   WUW-II: 5 wake words; shots spoken alone by five callers, judged in sentences of other callers
    orders      barista: 10 words cut from sentences, judged in all other sentences (automatic times)
    noise       2 wake phrases among coffee orders, in ESC-10 noise at 10 dB

Every system goes through the product's own path: clip trimming, streaming DTW, the combination of templates and the
decision of `edged score --all-matches`. "plain" is the form of the thesis: the smallest distance
over all templates, not normalised. F1: onset within 0.25 s, one threshold for all words, the best one ("F1") or the
bundle's default ("default"). Mean and standard deviation over draws of the shots.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edged.flow import Float32Array
from trainer.data.clips import data_directory
from trainer.evaluate.anomaly import write_between_marks
from trainer.evaluate.keyword_sets import ORDER_WORDS, Task, anywhere_in_clip, orders_task, phrases_task, telephone_task
from trainer.evaluate.keyword_trial import System, enrolled, mfcc_system, product_system, spot
from trainer.evaluate.spotting import Operating, at_limit, best_f1, operating_points

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- keywords: begin -->", "<!-- keywords: end -->")
SHORT_WORDS = ("milk", "roast", "triple", "iced", "almond", "single")
COLUMNS = (
    "MFCC + DTW, plain",
    "MFCC + DTW, our back end",
    "edged, plain",
    "**edged**",
    "edged at its default threshold",
    "edged: precision / recall at distance",
)

MakeTask = Callable[[int], tuple[Task, Mapping[str, Float32Array]]]


def judge(task: Task, system: System, embedded: Mapping[str, Float32Array], *, phrases: bool) -> list[list[Operating]]:
    """The operating points of both back ends on one draw."""
    both = spot(enrolled(task, system), {name: embedded[name] for name in task.spoken})
    if phrases:
        both = [{name: anywhere_in_clip(found[name], task.spoken[name]) for name in found} for found in both]
    return [operating_points(found, task.spoken) for found in both]


def main() -> None:
    """Print the table; optionally write it into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "edged" / "bundles" / "keyword")
    parser.add_argument("--draws", type=int, default=5, help="of the shots")
    parser.add_argument("--write", action="store_true", help="into trainer/README.md")
    arguments = parser.parse_args()
    data = data_directory()
    product, limit = product_system(arguments.bundle)
    systems = [mfcc_system(data), product]
    tasks: dict[str, tuple[MakeTask, bool]] = {
        "telephone, 5 words": (lambda seed: telephone_task(data, seed), False),
        "orders, 10 words": (lambda seed: orders_task(data, seed, ORDER_WORDS), False),
        "orders, 16 words (6 short)": (lambda seed: orders_task(data, seed, ORDER_WORDS + SHORT_WORDS), False),
        "2 phrases among orders, noise at 10 dB": (lambda seed: phrases_task(data, seed), True),
    }
    columns = (f"event F1, 5 shots, {arguments.draws} draws", *COLUMNS)
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for name, (make, phrases) in tasks.items():
        lines.append(row(name, make, phrases, systems, arguments.draws, limit))
        print(lines[-1], flush=True)
    text = "\n".join(lines)
    print(text)
    if arguments.write:
        write_between_marks(ROOT / "trainer" / "README.md", text, MARKS)


def row(name: str, make: MakeTask, phrases: bool, systems: Sequence[System], draws: int, limit: float) -> str:
    """One line of the table: the best F1 of each system and back end, ours at the default threshold, ours in detail."""
    figures: list[list[float]] = []
    cache: dict[tuple[int, str], Float32Array] = {}
    for seed in tqdm(range(draws), desc=name, leave=False):
        task, audio = make(seed)
        points: list[list[Operating]] = []
        for number, system in enumerate(systems):
            for file, samples in audio.items():
                if phrases or (number, file) not in cache:
                    cache[number, file] = system.embed(samples)
            points += judge(task, system, {file: cache[number, file] for file in audio}, phrases=phrases)
        ours = best_f1(points[-1])
        default = at_limit(points[-1], limit)
        figures.append([*(best_f1(p).f1 for p in points), default.f1, ours.precision, ours.recall, ours.limit])
    mean, spread = np.mean(figures, axis=0), np.std(figures, axis=0)
    cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean[:5], spread, strict=False)]
    return f"| {name} | " + " | ".join(cells) + f" | {mean[5]:.2f} / {mean[6]:.2f} at {mean[7]:.2f} |"


if __name__ == "__main__":
    main()
