"""How well the default anomaly monitor tells broken machines from sound ones, beside a log-mel 1-NN baseline.

    python tests/bench/machines.py [--bundle DIR] [--write]

Every clip is brought to the same RMS first: in the real recordings raw loudness alone gives the label away (the
"loudness" column). Only normal clips are enrolled, never a clip that is judged in the same fold:

    fan       leave one normal clip out, enrol the others
    drones    half of the normal flights enrolled, the rest and the broken ones judged; several draws
    motors    leave one normal clip out
    synthetic machines the embedder never saw, 10 to 60 normal clips enrolled, weak faults in noise

AUC with its 95 % bootstrap interval over clips. `--write` puts the table into trainer/README.md.
"""

from __future__ import annotations

import argparse
import datetime
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import edged
from edged.embed.bundle import Bundle, RepresentationSpec, load_bundle
from edged.features.anomaly import AnomalySpec, clip_segments
from edged.flow import Float32Array, Float64Array
from trainer.data import clips as data
from trainer.data.machine_synth import draw_fault, draw_plant, render_clip
from trainer.evaluate.anomaly import Vectors, clip_scores, fit, model_label, product_vectors, write_between_marks
from trainer.evaluate.auc import Interval, bootstrap_interval, pairwise_wins

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- machines: begin -->", "<!-- machines: end -->")
BASELINE = (
    RepresentationSpec(name="baseline", source="features", dim=256, backend="density", params={"max_ratio": 1.0}),
)
DRAWS = 8
N_SYNTHETIC, N_JUDGED = 24, 20

Fold = tuple[list[int], list[int]]


@dataclass(frozen=True)
class MachineSet:
    """Clips of one machine at one level.

    Attributes:
        folds: numbers of the normal clips to enrol, and of those to judge.
        loudness: AUC of the recordings' own level, before they were brought to one level.
    """

    name: str
    normal: list[Float32Array]
    anomalous: list[Float32Array]
    folds: list[Fold]
    loudness: float


@dataclass(frozen=True)
class Row:
    """One line of the table: AUC of the loudness alone, of both systems, and their difference on the same clips."""

    name: str
    loudness: float
    baseline: Interval
    ours: Interval
    gain: Interval


def main() -> None:
    """Print the table; optionally write it into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "edged" / "bundles" / "anomaly")
    parser.add_argument("--write", action="store_true", help="into trainer/README.md")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    rows = [row_of(machines, bundle) for machines in all_sets(data.data_directory())]
    text = table(rows, bundle)
    print(text)
    if arguments.write:
        write_between_marks(ROOT / "trainer" / "README.md", text, MARKS)


def all_sets(root: Path) -> Iterator[MachineSet]:
    """The sets of the table, in its order."""
    fan = root / "machines" / "mimii_fan_id00"
    yield leave_one_out("fan (MIMII id_00)", data.read_tree(fan / "normal"), data.read_tree(fan / "abnormal"))
    yield from drones(root)
    motors = root / "machines" / "bldc"
    yield leave_one_out("motors (bldc)", data.read_tree(motors / "healthy"), data.read_tree(motors / "propeller"))
    for kind in ("fan", "pump", "slider", "valve"):
        lite = root / "machines" / "dcase2020_lite" / kind
        yield leave_one_out(
            f"{kind} (DCASE lite, 3+3)", data.read_tree(lite / "normal"), data.read_tree(lite / "anomaly")
        )
    for index in range(N_SYNTHETIC):
        yield synthetic(index, data.esc10_clips(root / "noise" / "esc10", folds="45"))


def leave_one_out(name: str, normal: list[Float32Array], anomalous: list[Float32Array]) -> MachineSet:
    """Every normal clip judged by the others."""
    everyone = range(len(normal))
    folds = [([j for j in everyone if j != i], [i]) for i in everyone]
    loudness = loudness_auc(normal, anomalous)
    return MachineSet(name, leveled(normal), leveled(anomalous), folds, loudness)


def leveled(clips: Sequence[Float32Array]) -> list[Float32Array]:
    """All at the same RMS."""
    return [data.at_level(clip) for clip in clips]


def loudness_auc(normal: Sequence[Float32Array], anomalous: Sequence[Float32Array]) -> float:
    """The level-only control."""
    return float(pairwise_wins([data.rms(x) for x in normal], [data.rms(x) for x in anomalous]).mean())


def drones(root: Path) -> Iterator[MachineSet]:
    """Flights in noise at -10 and -20 dB: for each one recording of ESC-10, of folds that training never heard."""
    flights = root / "machines" / "uav"
    normal, broken = data.read_tree(flights / "normal"), data.read_tree(flights, "*_broken/*.flac")
    noises = data.esc10_clips(root / "noise" / "esc10", folds="45")
    for snr_db in (-10, -20):
        rng = np.random.default_rng(100 - snr_db)
        chosen = [noises[int(rng.integers(len(noises)))] for _ in (*normal, *broken)]
        pairs = zip((*normal, *broken), chosen, strict=True)
        noisy = [data.mixed(clip, np.resize(noise, len(clip)), snr_db) for clip, noise in pairs]
        sides = noisy[: len(normal)], noisy[len(normal) :]
        name = f"drones in noise, {snr_db} dB"
        yield MachineSet(name, *sides, half_draws(len(normal)), loudness_auc(normal, broken))


def half_draws(n: int) -> list[Fold]:
    """Random halves: enrolled, judged."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(n).tolist() for _ in range(DRAWS)]
    return [(order[: n // 2], order[n // 2 :]) for order in orders]


def synthetic(index: int, noises: Sequence[Float32Array]) -> MachineSet:
    """A machine drawn from a seed that training never uses; its clips keep to one level by themselves."""
    item = draw_plant(N_SYNTHETIC, seed=777)[index]
    rng = np.random.default_rng((777, index))
    item = replace(item, domains=tuple(replace(d, snr_db=rng.uniform(-6.0, 9.0)) for d in item.domains))
    n_enrolled = (10, 15, 20, 30, 40, 60)[index % 6]
    faults = [draw_fault(item, rng, (0.2, 0.8)) for _ in range(30)]
    normal = [render_clip(item, (777, index, 0, k), noises=noises) for k in range(n_enrolled + N_JUDGED)]
    broken = [render_clip(item, (777, index, 1, k), noises=noises, fault=f) for k, f in enumerate(faults)]
    fold = (list(range(n_enrolled)), list(range(n_enrolled, n_enrolled + N_JUDGED)))
    loudness = loudness_auc(normal[n_enrolled:], broken)
    return MachineSet(f"synthetic {item.kind} ({n_enrolled} enrolled)", normal, broken, [fold], loudness)


def row_of(machines: MachineSet, bundle: Bundle) -> Row:
    """Both systems on the same clips."""
    baseline = wins(machines, baseline_vectors, BASELINE)
    ours = wins(machines, product_vectors(bundle), bundle.manifest.representations)
    intervals = [bootstrap_interval(w) for w in (baseline, ours, ours - baseline)]
    return Row(machines.name, machines.loudness, *intervals)


def wins(
    machines: MachineSet, vectors_of: Callable[[Float32Array], Vectors], specs: Sequence[RepresentationSpec]
) -> Float64Array:
    """Pairwise wins (n_judged_normal, n_anomalous), averaged over the folds in which a normal clip was judged."""
    normal = [vectors_of(clip) for clip in machines.normal]
    anomalous = [vectors_of(clip) for clip in machines.anomalous]
    total, count = np.zeros((len(normal), len(anomalous))), np.zeros(len(normal))
    for enrolled, judged in machines.folds:
        scorer = fit([normal[i] for i in enrolled], specs)
        total[judged] += pairwise_wins(clip_scores(scorer, [normal[i] for i in judged]), clip_scores(scorer, anomalous))
        count[judged] += 1
    return total[count > 0] / count[count > 0, np.newaxis]


def baseline_vectors(clip: Float32Array) -> Vectors:
    """Log-mel mean and standard deviation over time; with 1-NN the customary simple system."""
    spec = AnomalySpec(inputs=(), statistics={"baseline": ("mean", "std")}, normalise_level=False)
    return {"baseline": np.stack([s.features["baseline"] for s in clip_segments(clip, spec)])}


def table(rows: Sequence[Row], bundle: Bundle) -> str:
    """Markdown: a line per set, and means of the small and of the synthetic ones."""
    lines = [
        "| set | loudness alone, raw | log-mel 1-NN | edged | difference |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [f"| {r.name} | {r.loudness:.2f} | {r.baseline} | **{r.ours}** | {r.gain} |" for r in rows]
    for label in ("DCASE lite", "synthetic"):
        chosen = [row for row in rows if label in row.name]
        base = float(np.mean([row.baseline.value for row in chosen]))
        ours = float(np.mean([row.ours.value for row in chosen]))
        lines.append(f"| mean of {len(chosen)} {label} sets | | {base:.3f} | **{ours:.3f}** | {ours - base:+.3f} |")
    stamp = datetime.datetime.now(datetime.timezone.utc).date()
    versions = f"numpy {np.__version__}, python {platform.python_version()}, edged {edged.__version__}"
    return "\n".join([*lines, "", f"{stamp}, {model_label(bundle)}, {platform.machine()}, {versions}."])


if __name__ == "__main__":
    main()
