"""What FP16 and INT8 cost the shipped networks, emulated on a CPU, on real recordings and synthetic machines.

    python tests/bench/precision.py [--draws 1] [--write]

FP16: weights and activations rounded to 16 bits, sums in float32. INT8: quantise/dequantise pairs as TensorRT would
run them, calibrated on synthetic machines and recorded words, none of which is judged here. Everything else is the
product: front end, scoring, decision. A precision may be a default where no set loses more than 0.005 AUC or F1.
`--write` puts the table into edged/README.md.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from keywords import judge
from machines import MachineSet, drones, leave_one_out, synthetic

import edged
from edged.embed.bundle import Bundle, load_bundle, write_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.features.anomaly import AnomalySpec, clip_segments
from edged.flow import Float32Array
from edged.pipeline import embed_signal
from trainer.data import clips as data
from trainer.data.keywords import read_audio
from trainer.data.machine_synth import draw_plant, render_clip
from trainer.evaluate.anomaly import clip_scores, fit, model_label, write_between_marks
from trainer.evaluate.auc import pairwise_wins
from trainer.evaluate.keyword_sets import ORDER_WORDS, orders_task, telephone_task
from trainer.evaluate.keyword_trial import product_system
from trainer.evaluate.spotting import at_limit, best_f1
from trainer.low_precision import Inputs, to_int8, with_rounded_activations

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- precision: begin -->", "<!-- precision: end -->")
PRECISIONS = ("fp32", "fp16", "int8")
ALLOWED_LOSS = 0.005
N_SYNTHETIC = 6

Figures = dict[str, dict[str, float]]
"""Name of the set -> precision -> AUC or F1."""


def main() -> None:
    """Print the table; optionally write it into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1, help="of keyword shots")
    parser.add_argument("--write", action="store_true", help="into edged/README.md")
    arguments = parser.parse_args()
    root = data.data_directory()
    bundles = ROOT / "edged" / "bundles"
    with tempfile.TemporaryDirectory() as folder:
        of_kind = {kind: variants(load_bundle(bundles / kind), root, Path(folder)) for kind in ("anomaly", "keyword")}
        tables = {"AUC": machine_figures(root, of_kind["anomaly"])}
        tables["event F1"] = word_figures(root, of_kind["keyword"], arguments.draws)
        label = ", ".join(model_label(of_kind[kind]["fp32"]) for kind in of_kind)
    text = "\n".join([*(block for name, figures in tables.items() for block in table(name, figures)), stamp(label)])
    print(text)
    if arguments.write:
        write_between_marks(ROOT / "edged" / "README.md", text, MARKS)


def variants(bundle: Bundle, root: Path, folder: Path) -> dict[str, Bundle]:
    """The bundle, and copies of it whose network computes in fewer bits."""
    network = onnx.load(str(bundle.model_path))
    calibration = machine_inputs(bundle) if bundle.manifest.kind == "anomaly" else word_inputs(bundle, root)
    made = {"fp16": with_rounded_activations(network), "int8": to_int8(network, calibration)}
    found = {"fp32": bundle}
    for precision, model in made.items():
        path = folder / f"{precision}.onnx"
        onnx.save(model, str(path))
        place = folder / f"{bundle.manifest.kind}-{precision}"
        manifest = bundle.manifest.model_copy(update={"files": {}})
        found[precision] = write_bundle(place, manifest, model=path, calibration=bundle.calibration)
    return found


def machine_inputs(bundle: Bundle) -> Inputs:
    """Normal clips of synthetic machines whose seed nothing else uses."""
    spec = AnomalySpec.model_validate(bundle.manifest.features)
    items = draw_plant(24, seed=4242)
    clips = [render_clip(item, (4242, index, k)) for index, item in enumerate(items) for k in range(4)]
    return stacked([segment.features for clip in clips for segment in clip_segments(clip, spec)], bundle)


def word_inputs(bundle: Bundle, root: Path) -> Inputs:
    """Recorded words, one after the other."""
    files = sorted((root / "speech" / "gsc").glob("*/*.ogg"))[::40]
    recorder = Recorder(bundle)
    embed_signal(np.concatenate([read_audio(path) for path in files]), bundle, recorder)
    chosen = np.random.default_rng(0).permutation(len(recorder.heard))[:256]
    return stacked([recorder.heard[number] for number in chosen], bundle)


class Recorder(OnnxEmbedder):
    """Keeps what the network would be given."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self.heard: list[Mapping[str, Float32Array]] = []

    def embed(self, segments: Any) -> list[Any]:
        self.heard += [segment.features for segment in segments]
        return []


def stacked(features: list[Mapping[str, Float32Array]], bundle: Bundle) -> Inputs:
    """Segments' features as batches of the network's inputs."""
    names = [spec.name for spec in bundle.manifest.model.inputs] if bundle.manifest.model else []
    return {name: np.stack([one[name] for one in features]) for name in names}


def machine_figures(root: Path, bundles: Mapping[str, Bundle]) -> Figures:
    """AUC of every set of machines."""
    fan, motors = (root / "machines" / name for name in ("mimii_fan_id00", "bldc"))
    noises = data.esc10_clips(root / "noise" / "esc10", folds="45")
    figures: Figures = {}

    def take(machines: MachineSet) -> None:
        figures[machines.name] = auc_of(machines, bundles)
        print(machines.name, figures[machines.name], flush=True)

    take(leave_one_out("fan (MIMII id_00)", data.read_tree(fan / "normal"), data.read_tree(fan / "abnormal")))
    for machines in drones(root):
        take(machines)
    take(leave_one_out("motors (bldc)", data.read_tree(motors / "healthy"), data.read_tree(motors / "propeller")))
    for index in range(N_SYNTHETIC):
        take(synthetic(index, noises))
    return figures


def auc_of(machines: MachineSet, bundles: Mapping[str, Bundle]) -> dict[str, float]:
    """By the whole monitor, and by the network's embedding alone, where nothing hides its errors."""
    manifest = bundles["fp32"].manifest
    spec = AnomalySpec.model_validate(manifest.features)
    segments = [clip_segments(clip, spec) for clip in (*machines.normal, *machines.anomalous)]
    found = {}
    for precision, bundle in bundles.items():
        embedder = OnnxEmbedder(bundle)
        vectors = [
            {s.name: np.stack([e.vectors[s.name] for e in embeddings]) for s in manifest.representations}
            for embeddings in map(embedder.embed, segments)
        ]
        n = len(machines.normal)
        for suffix, specs in (
            ("", manifest.representations),
            (" alone", [s for s in manifest.representations if s.source == "model"]),
        ):
            total, count = np.zeros((n, len(machines.anomalous))), np.zeros(n)
            for enrolled, judged in machines.folds:
                scorer = fit([vectors[i] for i in enrolled], specs)
                scores = clip_scores(scorer, [vectors[i] for i in judged]), clip_scores(scorer, vectors[n:])
                total[judged] += pairwise_wins(*scores)
                count[judged] += 1
            found[precision + suffix] = float((total[count > 0] / count[count > 0, np.newaxis]).mean())
    return found


def word_figures(root: Path, bundles: Mapping[str, Bundle], draws: int) -> Figures:
    """Event F1 at the best threshold and at the bundle's own."""
    tasks = {
        "telephone, 5 words": lambda seed: telephone_task(root, seed),
        "orders, 10 words": lambda seed: orders_task(root, seed, ORDER_WORDS),
    }
    found: Figures = {}
    for name, make in tasks.items():
        rows: dict[str, list[tuple[float, float]]] = {precision: [] for precision in bundles}
        for seed in range(draws):
            task, audio = make(seed)
            for precision, bundle in bundles.items():
                system, limit = product_system(bundle.directory)
                points = judge(task, system, {file: system.embed(audio[file]) for file in audio}, phrases=False)[-1]
                rows[precision].append((best_f1(points).f1, at_limit(points, limit).f1))
        means = {precision: np.mean(values, axis=0) for precision, values in rows.items()}
        found[f"{name}, best threshold"] = {precision: float(mean[0]) for precision, mean in means.items()}
        found[f"{name}, default threshold"] = {precision: float(mean[1]) for precision, mean in means.items()}
        print(name, found, flush=True)
    return found


def table(name: str, figures: Figures) -> list[str]:
    """Markdown: a line per set and the mean, with what each precision changes; whether it may be a default."""
    columns = [
        p + suffix for suffix in ("", " alone") for p in PRECISIONS if p + suffix in next(iter(figures.values()))
    ]
    lines = [f"| {name} | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    mean = {column: float(np.mean([values[column] for values in figures.values()])) for column in columns}
    for row, values in (*figures.items(), ("**mean**", mean)):
        cells = []
        for column in columns:
            base = values["fp32 alone" if column.endswith("alone") else "fp32"]
            change = "" if column.startswith("fp32") else f" ({values[column] - base:+.4f})"
            cells.append(f"{values[column]:.4f}{change}")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    worst = {p: max(values["fp32"] - values[p] for values in figures.values()) for p in PRECISIONS[1:]}
    verdicts = [f"{p} {'yes' if loss <= ALLOWED_LOSS else 'no'} ({max(loss, 0.0):.4f})" for p, loss in worst.items()]
    return [*lines, "", f"No set loses more than {ALLOWED_LOSS}: {', '.join(verdicts)}.", ""]


def stamp(label: str) -> str:
    """When, what, with what."""
    day = datetime.datetime.now(datetime.timezone.utc).date()
    versions = f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}, edged {edged.__version__}"
    return f"{day}, {label}, {platform.machine()}, {os.cpu_count()} cores, {versions}."


if __name__ == "__main__":
    main()
