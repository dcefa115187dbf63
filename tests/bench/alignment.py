"""How well words of known order get their times: key publication 2's figure 2 on recorded sentences.

    python tests/bench/alignment.py [--draws 3] [--sentences 80]

Five shots of each word, cut exactly; the words of coffee orders and of telephone sentences in their order. Counted is
the share of words whose found stretch covers at least 70 % of the true one and lies in it for at least 60 %, as the
paper's example has it (0.90 there). The times of the orders are automatic themselves.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edged.flow import SAMPLE_RATE_HZ
from edged.score.barycentre import frechet_mean
from trainer.align import align_order
from trainer.data.clips import data_directory
from trainer.evaluate.keyword_sets import ORDER_WORDS, Audio, Task, orders_task, telephone_task
from trainer.evaluate.overlaps import overlap_shares, share_overlapping
from trainer.weak_labels import HFCC, Features, bundle_features

ROOT = Path(__file__).resolve().parents[2]
POINTS = ((0.7, 0.6), (0.5, 0.5), (0.8, 0.8))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "edged" / "bundles" / "keyword")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=80)
    arguments = parser.parse_args()
    features = {"HFCC": HFCC, "the default bundle": bundle_features(arguments.bundle)}
    data = data_directory()
    print("| sentences | features | templates | >= 70 / 60 % | >= 50 / 50 % | >= 80 / 80 % | ms per second of sound |")
    print("|---|---|---|---:|---:|---:|---:|")
    makers = {
        "orders, 10 words": lambda seed: orders_task(data, seed, ORDER_WORDS, context_s=0.0),
        "telephone, 5 words": lambda seed: telephone_task(data, seed, context_s=0.0),
    }
    for name, make in makers.items():
        draws = [make(seed) for seed in range(arguments.draws)]
        for label, feature in features.items():
            for template in ("best", "mean"):
                results = [one_draw(*draw, feature, template, arguments.sentences) for draw in tqdm(draws, leave=False)]
                cells = [f"{m:.2f} ± {s:.2f}" for m, s in zip(np.mean(results, 0), np.std(results, 0), strict=True)]
                print(
                    f"| {name} | {label} | {template} | {' | '.join(cells[:-1])} | {np.mean(results, 0)[-1]:.1f} |",
                    flush=True,
                )


def one_draw(task: Task, audio: Audio, features: Features, template: str, n_sentences: int) -> list[float]:
    """Shares of the words at each point, and milliseconds per second of sound."""
    templates = {word: [features.rows(clip) for clip in clips] for word, clips in task.shots.items()}
    if template == "mean":
        templates = {word: [frechet_mean(shots)] for word, shots in templates.items()}
    names = [name for name, events in task.spoken.items() if events][:n_sentences]
    start_s = time.process_time()
    shares = aligned_shares(task, {name: audio[name] for name in names}, templates, features)
    sound_s = sum(len(audio[name]) for name in names) / SAMPLE_RATE_HZ
    points = [share_overlapping(shares, of_truth=truth, of_result=result) for truth, result in POINTS]
    return [*points, 1000.0 * (time.process_time() - start_s) / sound_s]


def aligned_shares(task: Task, audio: Audio, templates: Mapping[str, list], features: Features) -> np.ndarray:
    """Overlaps of all words of some sentences."""
    hop_s = features.hop_samples / SAMPLE_RATE_HZ
    found, truth = [], []
    for name, samples in audio.items():
        words = align_order([templates[event.word] for event in task.spoken[name]], features.rows(samples))
        found += [(word.frame_start * hop_s, word.frame_end * hop_s) for word in words]
        truth += [(event.onset_s, event.offset_s) for event in task.spoken[name]]
    return overlap_shares(found, truth)


if __name__ == "__main__":
    main()
