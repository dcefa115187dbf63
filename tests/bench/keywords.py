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
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.fft import dct
from tqdm import tqdm

from edged.decide.keyword import KeywordDecider
from edged.embed.bundle import load_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.features.logmel import log_mel_db
from edged.features.mel import mel_weights
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from edged.pipeline import embed_signal
from edged.references.templates import template_of_clip
from edged.score.dtw import StreamingDtw
from edged.score.keyword import KeywordModel
from trainer.augment.noise import cut_or_loop, mix_at_snr
from trainer.data.keywords import read_audio
from trainer.evaluate.anomaly import write_between_marks
from trainer.evaluate.keyword_sets import N_SHOTS, ORDER_WORDS, Task, orders_task, telephone_task
from trainer.evaluate.spotting import Operating, Spoken, Spotted, at_limit, best_f1, operating_points
from trainer.keyword_systems.decide import PlainModel

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- keywords: begin -->", "<!-- keywords: end -->")
HOP = 256
SHORT_WORDS = ("milk", "roast", "triple", "iced", "almond", "single")
HOP_S = HOP / SAMPLE_RATE_HZ
HOLD_FRAMES = 62
COLUMNS = (
    "MFCC + DTW, plain",
    "MFCC + DTW, our back end",
    "edged, plain",
    "**edged**",
    "edged at its default threshold",
    "edged: precision / recall at distance",
)

Embed = Callable[[Float32Array], Float32Array]
MakeTask = Callable[[int], tuple[Task, Mapping[str, Float32Array]]]


@dataclass(frozen=True)
class System:
    """An embedding: samples -> rows every 16 ms, and that of ordinary speech."""

    embed: Embed
    background: Float32Array


def mfcc(samples: Float32Array) -> Float32Array:
    """12 MFCC (25 ms, every 16 ms) and their slopes, mean and variance normalised over the signal."""
    n_frames = -(-len(samples) // HOP)
    padded = np.pad(samples, (72, HOP * n_frames + 400)).astype(np.float32)
    mel_db = log_mel_db(padded, n_frames, mel_weights(40, 400, SAMPLE_RATE_HZ, 50.0, 8000.0), 400, HOP)
    cepstrum = dct(np.maximum(mel_db, mel_db.max() - 80.0), norm="ortho", axis=1)[:, 1:13]
    cepstrum = (cepstrum - cepstrum.mean(axis=0)) / (cepstrum.std(axis=0) + 1e-6)
    return np.concatenate([cepstrum, np.gradient(cepstrum, axis=0)], axis=1).astype(np.float32)


def product_embed(bundle_directory: Path) -> tuple[Embed, Float32Array, float]:
    """The bundle's embedding as the daemon computes it, its background and its default limit."""
    bundle = load_bundle(bundle_directory)
    embedder = OnnxEmbedder(bundle)
    name = bundle.manifest.representations[0].name

    def embed(samples: Float32Array) -> Float32Array:
        rows = [embedding.vectors[name] for embedding in embed_signal(samples, bundle, embedder)]
        return np.concatenate(rows)[: -(-len(samples) // HOP)]

    return embed, bundle.calibration["background"].astype(np.float32), float(bundle.manifest.decision["limit_distance"])


def noise_task(data: Path, seed: int) -> tuple[Task, Mapping[str, Float32Array]]:
    """Wake phrases among coffee orders in noise; a phrase counts as found anywhere in its clip."""
    rng = np.random.default_rng(seed)
    noises = [read_audio(path) for path in sorted((data / "noise" / "esc10").glob("*.ogg"))[::7]]
    orders = [read_audio(path) for path in rng.permutation(sorted((data / "speech" / "barista").glob("*.flac")))[:60]]
    shots, clips = {}, []
    for folder in sorted((data / "speech" / "wakewords").iterdir()):
        files = rng.permutation(sorted(folder.iterdir()))[: N_SHOTS + 40]
        shots[folder.name] = [read_audio(path) for path in files[:N_SHOTS]]
        clips += [(folder.name, read_audio(path)) for path in files[N_SHOTS:]]
    audio, spoken = {}, {}
    for index, (word, clip) in enumerate(clips):
        parts = [orders[index % len(orders)], clip]
        joined = np.concatenate([part * np.float32(0.1 / max(np.std(part), 1e-6)) for part in parts])
        noise = cut_or_loop(rng, noises[int(rng.integers(len(noises)))], len(joined))
        name = f"{index:03d}"
        audio[name] = mix_at_snr(joined, noise, 10.0)
        middle_s = (len(parts[0]) + len(clip) / 2) / SAMPLE_RATE_HZ
        spoken[name] = [Spoken(word, middle_s, middle_s)]
    return Task(shots, spoken), audio


def spot(task: Task, system: System, embedded: Mapping[str, Float32Array]) -> list[dict[str, list[Spotted]]]:
    """All matches of all words in all files: by the plain back end, and by the product's."""
    templates = {
        word: [template_of_clip(word, clip, system.embed(clip), HOP) for clip in clips]
        for word, clips in task.shots.items()
    }
    model = KeywordModel.fit(templates, system.background, 1.0)
    models = (PlainModel(**vars(model)), model)
    dtw = StreamingDtw(model.templates)
    deciders = [KeywordDecider(m.word_frames, np.full(len(m.words), np.inf), HOLD_FRAMES) for m in models]
    found: list[dict[str, list[Spotted]]] = [{}, {}]
    for name in task.spoken:
        dtw.reset()
        trace = dtw.push(embedded[name])
        for result, decider, back_end in zip(found, deciders, models, strict=True):
            matches = decider.push(0, *back_end.combine(trace)) + decider.flush(len(trace.distances))
            result[name] = [
                Spotted(model.words[m.word], m.frame_start * HOP_S, m.frame_end * HOP_S, m.distance) for m in matches
            ]
    return found


def anywhere_in_clip(found: Sequence[Spotted], spoken: Sequence[Spoken]) -> list[Spotted]:
    """Findings that cover the middle of a spoken phrase's clip, moved onto it (its own times are not known)."""
    return [
        replace(f, onset_s=s.onset_s) if s.word == f.word and abs((f.onset_s + f.offset_s) / 2 - s.onset_s) < 1.3 else f
        for f in found
        for s in spoken
    ]


def judge(task: Task, system: System, embedded: Mapping[str, Float32Array], *, phrases: bool) -> list[list[Operating]]:
    """The operating points of both back ends on one draw."""
    both = spot(task, system, embedded)
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
    data = Path(os.environ.get("EDGED_DATA", ROOT.parent / "shared" / "data"))
    embed, background, limit = product_embed(arguments.bundle)
    systems = [System(mfcc, mfcc_background(data)), System(embed, background)]
    tasks: dict[str, tuple[MakeTask, bool]] = {
        "telephone, 5 words": (lambda seed: telephone_task(data, seed), False),
        "orders, 10 words": (lambda seed: orders_task(data, seed, ORDER_WORDS), False),
        "orders, 16 words (6 short)": (lambda seed: orders_task(data, seed, ORDER_WORDS + SHORT_WORDS), False),
        "2 phrases among orders, noise at 10 dB": (lambda seed: noise_task(data, seed), True),
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


def mfcc_background(data: Path) -> Float32Array:
    """MFCC of recorded words, so that the baseline can be normalised by ordinary speech as well."""
    files = sorted((data / "speech" / "gsc").glob("*/*.ogg"))[::14]
    return np.concatenate([mfcc(read_audio(path)) for path in files])


if __name__ == "__main__":
    main()
