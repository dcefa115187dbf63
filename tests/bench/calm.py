"""How calm the default anomaly monitor is on normal sound, and how surely it still finds clear faults.

    python tests/bench/calm.py [--bundle DIR] [--machines 6] [--minutes 30] [--scoring embedding=lof] [--write]

Synthetic machines that training never saw run for `--minutes` each, a third of them where recorded sounds pass by.
Clips of 10 s are enrolled, the threshold and the onset rule are the daemon's defaults. Counted are onsets per hour of
normal sound, and the share of one-minute faults (severity 0.7 to 1) that raise an onset. `--write` puts the table into
trainer/README.md.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edged.config import AnomalySettings
from edged.decide.hysteresis import Hysteresis, HysteresisSettings
from edged.decide.thresholds import alarm_threshold
from edged.embed.bundle import Bundle, load_bundle
from edged.flow import Float32Array, Float64Array
from edged.score.choices import chosen_specs
from trainer.data import clips as data
from trainer.data.machine_synth import PlantMachine, draw_fault, draw_plant, render_clip
from trainer.evaluate.anomaly import Vectors, fit, model_label, product_vectors, write_between_marks

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- calm: begin -->", "<!-- calm: end -->")
SEED = 4242
N_ENROLLED = (12, 20, 40, 60)
N_REPEATS = 3
CHUNK_S = 60.0
FADE_SAMPLES = 3_200
HOP_S = 2.56


def main() -> None:
    """Print the table; optionally write it into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "edged" / "bundles" / "anomaly")
    parser.add_argument("--machines", type=int, default=6)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--scoring", action="append", default=[], help="representation=back end; may be repeated")
    parser.add_argument("--write", action="store_true", help="into trainer/README.md")
    arguments = parser.parse_args()
    bundle = scored_by(load_bundle(arguments.bundle), dict(one.split("=", 1) for one in arguments.scoring))
    passing = data.esc10_clips(data.data_directory() / "noise" / "esc10", folds="45")
    results = [
        study(item, index, passing if index % 3 == 0 else [], arguments.minutes, bundle)
        for index, item in enumerate(draw_plant(arguments.machines, SEED))
    ]
    text = table(results, bundle, arguments.minutes)
    print(text)
    if arguments.write:
        write_between_marks(ROOT / "trainer" / "README.md", text, MARKS)


def scored_by(bundle: Bundle, scoring: Mapping[str, str]) -> Bundle:
    """The bundle with other back ends for some representations, as a configuration chooses them."""
    specs = chosen_specs(bundle.manifest.representations, scoring)
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"representations": specs}))


def study(
    item: PlantMachine, index: int, noises: Sequence[Float32Array], n_minutes: int, bundle: Bundle
) -> dict[int, tuple[float, float]]:
    """Number of enrolled clips -> (onsets per hour, share of faults found) of one machine."""
    vectors_of = product_vectors(bundle)
    clips = [vectors_of(render_clip(item, (SEED, index, 0, k), noises=noises)) for k in range(max(N_ENROLLED))]
    normal = vectors_of(stream(item, index, noises, n_minutes))
    faulty = [vectors_of(fault_clip(item, index, k, noises)) for k in range(4)]
    return {n: _judge(clips, normal, faulty, n, index, bundle) for n in N_ENROLLED}


def stream(item: PlantMachine, index: int, noises: Sequence[Float32Array], n_minutes: int) -> Float32Array:
    """Minutes of normal sound, joined without a click."""
    ramp = np.linspace(0.0, 1.0, FADE_SAMPLES, dtype=np.float32)
    result = render_clip(item, (SEED, index, 1, 0), noises=noises, duration_s=CHUNK_S)
    for k in range(1, n_minutes):
        chunk = render_clip(item, (SEED, index, 1, k), noises=noises, duration_s=CHUNK_S)
        seam = result[-FADE_SAMPLES:] * np.sqrt(1 - ramp) + chunk[:FADE_SAMPLES] * np.sqrt(ramp)
        result = np.concatenate([result[:-FADE_SAMPLES], seam, chunk[FADE_SAMPLES:]])
    return result


def fault_clip(item: PlantMachine, index: int, number: int, noises: Sequence[Float32Array]) -> Float32Array:
    """A minute of the machine with a clear fault."""
    fault = draw_fault(item, np.random.default_rng((SEED, index, number)), (0.7, 1.0))
    return render_clip(item, (SEED, index, 2, number), noises=noises, duration_s=CHUNK_S, fault=fault)


def _judge(
    clips: Sequence[Vectors], normal: Vectors, faulty: Sequence[Vectors], n: int, index: int, bundle: Bundle
) -> tuple[float, float]:
    rates, found = [], []
    for repeat in range(N_REPEATS):
        order = np.random.default_rng((SEED, index, n, repeat)).permutation(len(clips))[:n]
        scorer = fit([clips[i] for i in order], bundle.manifest.representations)
        threshold = alarm_threshold(scorer.normal_scores)
        scores = scorer.scores(normal)
        rates.append(onsets(scores, threshold) * 3600.0 / (len(scores) * HOP_S))
        found += [onsets(scorer.scores(clip), threshold) > 0 for clip in faulty]
    return float(np.mean(rates)), float(np.mean(found))


def onsets(scores: Float64Array, threshold: float) -> int:
    """Onsets the daemon's default rule raises."""
    defaults = AnomalySettings()
    rule = Hysteresis(
        HysteresisSettings(
            onset_count=defaults.onset_segments,
            onset_window=defaults.onset_window,
            clear_count=defaults.cleared_segments,
            release=defaults.release,
        )
    )
    transitions = [
        transition
        for i, score in enumerate(scores)
        for transition in rule.push(float(score), threshold, i * 40_960, i * 40_960 + 160_000)
    ]
    return sum(transition.kind == "onset" for transition in transitions)


def table(results: Sequence[Mapping[int, tuple[float, float]]], bundle: Bundle, n_minutes: int) -> str:
    """Markdown: steady places and those with passing sounds apart."""
    lines = ["| clips enrolled | " + " | ".join(map(str, N_ENROLLED)) + " |", "|---|" + "---:|" * len(N_ENROLLED)]
    groups = {"steady place": [r for i, r in enumerate(results) if i % 3], "sounds passing by": results[::3]}
    for name, group in groups.items():
        rates = [np.mean([r[n][0] for r in group]) for n in N_ENROLLED]
        found = [np.mean([r[n][1] for r in group]) for n in N_ENROLLED]
        lines.append(f"| false onsets per hour, {name} | " + " | ".join(f"{x:.2f}" for x in rates) + " |")
        lines.append(f"| clear faults found, {name} | " + " | ".join(f"{x:.0%}" for x in found) + " |")
    stamp = datetime.datetime.now(datetime.timezone.utc).date()
    note = f"{len(results)} machines, {n_minutes} minutes each, {N_REPEATS} enrolments each"
    return "\n".join([*lines, "", f"{stamp}, {model_label(bundle)}, {note}."])


if __name__ == "__main__":
    main()
