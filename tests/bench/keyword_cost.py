"""CPU that keyword spotting costs for every second of audio, beside re-running librosa's sub-sequence DTW.

    OMP_NUM_THREADS=1 python tests/bench/keyword_cost.py [--write]
    OMP_NUM_THREADS=1 python tests/bench/keyword_cost.py --soak-h 24

One stream in blocks of 40 ms through the product's own stages on one core; 75 templates (15 words of 5) of 30 to 50
frames, cut from the bundle's background speech, and 500 of 120. The peer runs `librosa.sequence.dtw` with the same
templates, step sizes and cosine cost over the last 2 s every 250 ms, once with its own cost matrix and once with one
that is made for all templates by one product. CPU seconds, the least of 40 short runs: the
others were disturbed by what else the computer did.

The soak puts hours of rows, with words in them, through DTW and decision, and prints the memory after each tenth.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import librosa
import numpy as np
import psutil

from edged.assembly import open_bundle
from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from edged.embed.bundle import Bundle
from edged.embed.onnx import OnnxEmbedder
from edged.features.keyword import KeywordFeatures
from edged.flow import SAMPLE_RATE_HZ, Block, Embedding, Float32Array, Segment
from edged.frontend import keyword_spec, speech_rows
from edged.references.keyword import KeywordBank
from edged.score.dtw import StreamingDtw, unit_rows
from edged.score.keyword import KeywordModel
from edged.spotting import KeywordSpotter
from trainer.evaluate.anomaly import write_between_marks

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- keyword-cost: begin -->", "<!-- keyword-cost: end -->")
BLOCK_SAMPLES = 640
STEPS = np.array([[1, 1], [1, 2], [2, 1]])
BUFFER_S, EVERY_S = 2.0, 0.25


def speech(seconds: float) -> Float32Array:
    """Spoken words with pauses, over a little noise."""
    words = np.concatenate([np.pad(spoken_clip(word), (0, SAMPLE_RATE_HZ // 3)) for word in ENROLMENT_CLIPS])
    signal = np.resize(words, round(seconds * SAMPLE_RATE_HZ))
    return (0.1 * signal + 0.001 * np.random.default_rng(0).standard_normal(len(signal))).astype(np.float32)


def least_s(run: Callable[[], object], n_runs: int = 40) -> float:
    """CPU seconds of the cheapest run."""
    spent = []
    for _ in range(n_runs):
        begun = time.process_time()
        run()
        spent.append(time.process_time() - begun)
    return min(spent)


def words_of(background: Float32Array, n_words: int, shortest: int, longest: int) -> KeywordModel:
    """Five templates a word, of lengths in between."""
    rng = np.random.default_rng(1)
    cuts = [
        background[start : start + int(rng.integers(shortest, longest + 1))]
        for start in rng.integers(0, len(background) - longest, 5 * n_words)
    ]
    templates = {f"word {n}": cuts[5 * n : 5 * n + 5] for n in range(n_words)}
    return KeywordModel.fit(templates, background[:600], 0.55, brevity_weight=0.5)


def spotter_of(model: KeywordModel, bundle: Bundle) -> KeywordSpotter:
    """What the daemon runs behind the embedder."""
    bank = KeywordBank(1, (), model.templates, model)
    return KeywordSpotter(bank, bundle.manifest.decision, model.limits(), keyword_spec(bundle), False)


def spotted(model: KeywordModel, bundle: Bundle, embeddings: Sequence[Embedding]) -> float:
    """CPU seconds of DTW, combination and decision over embedded segments."""
    name = bundle.manifest.representations[0].name

    def run() -> None:
        spotter = spotter_of(model, bundle)
        for embedding in embeddings:
            spotter.push(embedding, embedding.vectors[name])

    return least_s(run)


def warped(model: KeywordModel, bundle: Bundle, embeddings: Sequence[Embedding]) -> float:
    """CPU seconds of the DTW with on- and offsets alone, which is what the peer computes, over embedded segments."""
    name = bundle.manifest.representations[0].name

    def run() -> None:
        dtw = StreamingDtw(model.templates)
        for embedding in embeddings:
            dtw.push(embedding.vectors[name])

    return least_s(run)


def peer_s(model: KeywordModel, rows: Float32Array, hop_s: float, *, own_costs: bool) -> float:
    """CPU seconds of the peer for one pass over the templates, which it makes every `EVERY_S`."""
    buffer = unit_rows(rows[: round(BUFFER_S / hop_s)])

    def run() -> None:
        if own_costs:
            for template in model.templates:
                librosa.sequence.dtw(template.T, buffer.T, metric="cosine", subseq=True, step_sizes_sigma=STEPS)
            return
        costs = 1.0 - np.concatenate(model.templates) @ buffer.T
        for cost in np.split(costs, np.cumsum([len(t) for t in model.templates])[:-1]):
            librosa.sequence.dtw(C=cost, subseq=True, step_sizes_sigma=STEPS)

    run()  # numba compiles
    return least_s(run)


def measure(seconds: float) -> dict[str, float]:
    """Milliseconds of CPU per second of audio."""
    bundle = open_bundle("keyword")
    spec, embedder = keyword_spec(bundle), OnnxEmbedder(bundle)
    name, hop_s = bundle.manifest.representations[0].name, spec.hop_samples / SAMPLE_RATE_HZ
    background = speech_rows(bundle)
    signal = speech(seconds)
    blocks = [Block(at, signal[at : at + BLOCK_SAMPLES]) for at in range(0, len(signal), BLOCK_SAMPLES)]
    segments: list[Segment] = []
    embeddings: list[Embedding] = []

    def features() -> None:
        front = KeywordFeatures(spec)
        segments[:] = [segment for block in blocks for segment in front.push(block)]

    def embed() -> None:
        embeddings[:] = [one for segment in segments for one in embedder.embed([segment])]

    figures = {"features": least_s(features) / seconds, "embedding": least_s(embed) / seconds}
    rows = [one.vectors[name] for one in embeddings]
    many, most = words_of(background, 15, 30, 50), words_of(background, 100, 120, 120)
    figures["DTW and decision"] = spotted(many, bundle, embeddings) / seconds
    figures["sum"] = sum(figures.values())
    figures["DTW"] = warped(many, bundle, embeddings) / seconds
    figures["500 x 120"] = spotted(most, bundle, embeddings) / seconds
    for label, own in (("librosa", True), ("librosa, one product", False)):
        figures[label] = peer_s(many, np.concatenate(rows), hop_s, own_costs=own) / EVERY_S
    return {label: 1000.0 * value for label, value in figures.items()}


def soak(hours: float) -> None:
    """Print the resident memory as simulated audio passes."""
    bundle = open_bundle("keyword")
    spec, background = keyword_spec(bundle), speech_rows(bundle)
    words = {f"word {start}": [background[start : start + 40]] for start in range(1000, 1500, 100)}
    model = KeywordModel.fit(words, background[2000:3000], 0.3)
    spotter = spotter_of(model, bundle)
    segment_samples, n_events = spec.segment_frames * spec.hop_samples, 0
    n_segments = round(hours * 3600 * SAMPLE_RATE_HZ / segment_samples)
    for index in range(n_segments):
        first = index * spec.segment_frames % (len(background) - spec.segment_frames)
        rows = background[first : first + spec.segment_frames]
        embedding = Embedding(index * segment_samples, (index + 1) * segment_samples, {})
        n_events += len(spotter.push(embedding, rows))
        if (index + 1) % max(1, n_segments // 10) == 0:
            heard_h = (index + 1) * segment_samples / SAMPLE_RATE_HZ / 3600
            rss_kib = psutil.Process().memory_info().rss // 1024
            print(f"{heard_h:.1f} h: {rss_kib} KiB resident, {n_events} events", flush=True)


def table(figures: dict[str, float]) -> str:
    """The figures for the README."""
    peer, product = (figures[label] / figures["DTW"] for label in ("librosa", "librosa, one product"))
    with_decision = figures["librosa"] / figures["DTW and decision"]
    beside = f"{peer:.0f} times as much as the DTW alone, {with_decision:.0f} times as DTW and decision"
    packages = ", ".join(f"{package} {version(package)}" for package in ("numpy", "onnxruntime", "librosa"))
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return "\n".join(
        [
            "| CPU per second of audio, one core | ms |",
            "|---|---:|",
            f"| features | {figures['features']:.2f} |",
            f"| embedding | {figures['embedding']:.2f} |",
            f"| DTW with on- and offsets and decision, 75 templates of 40 frames | {figures['DTW and decision']:.2f} |",
            f"| of which the DTW alone | {figures['DTW']:.2f} |",
            f"| **all together** | **{figures['sum']:.2f}** |",
            f"| DTW and decision, 500 templates of 120 frames | {figures['500 x 120']:.1f} |",
            f"| librosa's DTW over 2 s every 250 ms: {beside} | {figures['librosa']:.0f} |",
            f"| the same, its costs by one product: {product:.0f} times | {figures['librosa, one product']:.0f} |",
            "",
            f"{datetime.now(timezone.utc):%Y-%m-%d}, {model}, {packages}; `python tests/bench/keyword_cost.py`.",
        ]
    )


def main() -> None:
    """Print the table; optionally write it into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of audio")
    parser.add_argument("--soak-h", type=float, help="hours of simulated audio; nothing else is measured")
    parser.add_argument("--write", action="store_true", help="into edged/README.md")
    arguments = parser.parse_args()
    if arguments.soak_h:
        soak(arguments.soak_h)
        return
    text = table(measure(arguments.seconds))
    print(text)
    if arguments.write:
        write_between_marks(ROOT / "edged" / "README.md", text, MARKS)


if __name__ == "__main__":
    main()
