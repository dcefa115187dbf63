"""What the thesis claims of losses, tasks, augmentation and branches, on the visible recordings and a synthetic plant.

    python tests/bench/losses.py [--seeds 3] [--run DIR] [--row NAME ...] [--write]

One training set: a synthetic plant of 24 machines, two operating points each and two acoustic domains, beside normal
clips of a fan, drones in -10 dB noise, three motors, and 15 more fans, pumps, sliders and valves. Every system of
`trainer/recipes/tables/table-losses.yaml` is trained on it once per seed; 24 sections of the plant and 3 real ones are
judged apart. What the thesis found is said of every claim by the difference's 95 % interval over seeds: confirmed
(above 0), contradicted (below 0), no gain (not above 2 points) or open. Every clip has the same RMS. `--write` puts
tables into trainer/README.md.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
from scipy import stats

from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.anomaly_recipe import parse_recipe
from trainer.data import clips as data
from trainer.data.machine_synth import PlantMachine, draw_fault, draw_plant, render_clip
from trainer.data.recordings import read_machine_data
from trainer.evaluate.anomaly import write_between_marks
from trainer.evaluate.judged import JudgedSection, mean_figures
from trainer.experiment import Experiment
from trainer.judging import Judge
from trainer.recipe_files import Table, load_table

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- losses: begin -->", "<!-- losses: end -->")
PLANT_SEED, N_MACHINES = 2468, 24
N_SOURCE, N_TARGET, N_TEST = 32, 8, 16
CLIP_S = 4.0
DRONE_SNR_DB = -10.0
MATTERS = 0.02
"""A gain in AUC below this would not be worth a recipe's line."""
FIGURES = ("auc", "partial_auc", "f1_ev")
FIELDS = ("path", "machine", "section", "domain", "split", "condition", "attributes")

Row = tuple[str, str, str, str, str, str, Float32Array]
"""(machine, section, domain, split, condition, attributes, samples)"""


@dataclass(frozen=True)
class Claim:
    """A sentence of the thesis as a comparison of two rows."""

    text: str
    better: str
    worse: str


CLAIMS = (
    Claim("more classes help: attributes over one class (3.3.3)", "compactness", "compactness-none"),
    Claim("more classes help: attributes over machine types (3.3.3)", "compactness", "compactness-machine"),
    Claim("a classification task beats the one-class compactness loss (3.3.3)", "adacos", "compactness-none"),
    Claim("mixup helps AdaCos (3.4.4)", "adacos", "adacos-plain"),
    Claim("mixup helps sub-cluster AdaCos (3.4.4)", "subcluster-adacos", "subcluster-plain"),
    Claim("learned embeddings beat the temporal mean (3.4.6)", "subcluster-adacos", "statistics"),
    Claim("both branches beat the spectrum (5.3.2)", "subcluster-adacos", "spectrum"),
    Claim("both branches beat the log-mel image (5.3.2)", "subcluster-adacos", "log-mel"),
    Claim("concatenating beats adding (5.3.2)", "subcluster-adacos", "add"),
    Claim("joint training beats concatenating afterwards (5.3.2)", "subcluster-adacos", "after-training"),
    Claim("AdaProj beats sub-cluster AdaCos (5.6.3)", "adaproj", "subcluster-adacos"),
    Claim("AdaProj helps when classes are few (5.6.3)", "adaproj-machine", "subcluster-machine"),
    Claim("FeatEx helps (5.7.3)", "featex", "subcluster-adacos"),
    Claim("FeatEx helps when classes are few (5.7.3)", "featex-machine", "subcluster-machine"),
    Claim("StatEx helps (5.7.3)", "statex", "subcluster-adacos"),
    Claim("StatEx and FeatEx together help (5.7.3)", "combined", "subcluster-adacos"),
)


def main() -> None:
    """Train what is not trained yet, print both tables; optionally write them into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--run", type=Path, default=Path("runs/losses"))
    parser.add_argument("--row", action="append", help="only this system; repeatable")
    parser.add_argument("--write", action="store_true", help="into trainer/README.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    experiment = Experiment(tuple(read_machine_data(manifest(arguments.run / "data"))), arguments.run, progress=False)
    table = load_table("table-losses")
    figures = {}
    for seed in range(arguments.seeds):  # all systems once, then again: a run that is stopped has whole seeds
        for row in table.rows:
            if not arguments.row or row.name in arguments.row:
                figures[row.name, seed] = figures_of(table, row.name, experiment, seed)
                print(row.name, seed, {k: round(v, 3) for k, v in figures[row.name, seed].items()}, flush=True)
    text = f"{markdown(table, figures)}\n\n{claims(figures)}\n\n{stamp(arguments.seeds, experiment)}"
    print(text)
    if arguments.write:
        write_between_marks(ROOT / "trainer" / "README.md", text, MARKS)


def figures_of(table: Table, name: str, experiment: Experiment, seed: int) -> dict[str, float]:
    """`plant auc`, `real auc` ... of one system."""
    (row,) = (row for row in table.rows if row.name == name)
    recipe = parse_recipe(name, dict(row.recipe))
    sections = Judge(experiment.clips, experiment.embedded(recipe, seed), row.backend, recipe.classes).sections()
    groups: Mapping[str, Sequence[JudgedSection]] = {
        "plant": [section for section in sections if section.machine.startswith("plant")],
        "real": [section for section in sections if not section.machine.startswith("plant")],
    }
    means = {group: mean_figures(own, harmonic=True) for group, own in groups.items()}
    return {f"{group} {figure}": means[group][figure] for group in groups for figure in FIGURES}


def manifest(directory: Path) -> Path:
    """The clips as files of one level, with a CSV manifest; made once."""
    path = directory / "clips.csv"
    if path.is_file():
        return path
    directory.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".part").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(FIELDS)
        for number, (*facts, samples) in enumerate((*plant(), *recorded(data.data_directory()))):
            name = f"{number:05d}.wav"
            sf.write(directory / name, data.at_level(samples), SAMPLE_RATE_HZ, subtype="PCM_16")
            writer.writerow([name, *facts])
    return path.with_suffix(".part").replace(path)


def plant() -> Iterator[Row]:
    """Machines of four kinds at two operating points, mostly in the source domain."""
    for index, drawn in enumerate(draw_plant(N_MACHINES, PLANT_SEED)):
        rng = np.random.default_rng((PLANT_SEED, index))
        item = replace(drawn, domains=tuple(replace(d, snr_db=rng.uniform(0.0, 9.0)) for d in drawn.domains))
        yield from plant_machine(item, index, rng)


def plant_machine(item: PlantMachine, index: int, rng: np.random.Generator) -> Iterator[Row]:
    """Training and test clips of one machine."""
    machine, section = f"plant-{item.kind}", f"{index:02d}"
    plan = [("train", "normal", d) for d in (0,) * N_SOURCE + (1,) * N_TARGET]
    plan += [("test", c, d) for c in ("normal", "anomaly") for d in (0, 1) for _ in range(N_TEST // 2)]
    for number, (split, condition, domain) in enumerate(plan):
        speed = number % 2
        place = item.domains[domain]
        point = replace(place.point, speed=place.point.speed * (1.0, 1.15)[speed])
        at = replace(item, domains=(replace(place, point=point),))
        fault = draw_fault(item, rng, (0.4, 1.0)) if condition == "anomaly" else None
        samples = render_clip(at, (PLANT_SEED, index, number), fault=fault, duration_s=CLIP_S)
        yield machine, section, ("source", "target")[domain], split, condition, f"speed_{speed}", samples


def recorded(root: Path) -> Iterator[Row]:
    """The visible recordings: enrolled clips train, the others and the faulty ones are judged."""
    fan = root / "machines" / "mimii_fan_id00"
    yield from halves("fan", data.read_tree(fan / "normal"), data.read_tree(fan / "abnormal"))
    yield from halves("drone", *drones(root))
    yield from motors(root / "machines" / "bldc")
    for path in sorted((root / "machines" / "mimii_16").glob("*/normal/*.flac")):
        machine, _, number = path.parts[-3].split("_")
        if (machine, number) != ("fan", "00"):
            yield machine, number, "source", "train", "normal", "", data.read_clip(path)


def halves(machine: str, normal: Sequence[Float32Array], broken: Sequence[Float32Array]) -> Iterator[Row]:
    """The first half of the normal clips is learned."""
    for number, samples in enumerate(normal):
        yield machine, "00", "source", "train" if number < len(normal) // 2 else "test", "normal", "", samples
    for samples in broken:
        yield machine, "00", "source", "test", "anomaly", "", samples


def drones(root: Path) -> tuple[list[Float32Array], list[Float32Array]]:
    """Flights in noise, in random order."""
    rng = np.random.default_rng(5)
    noises = data.esc10_clips(root / "noise" / "esc10", folds="45")
    flights = root / "machines" / "uav"
    sides = data.read_tree(flights / "normal"), data.read_tree(flights, "*_broken/*.flac")
    noisy = [
        [data.mixed(clip, np.resize(noises[int(rng.integers(len(noises)))], len(clip)), DRONE_SNR_DB) for clip in side]
        for side in sides
    ]
    order = rng.permutation(len(noisy[0]))
    return [noisy[0][i] for i in order], noisy[1]


def motors(directory: Path) -> Iterator[Row]:
    """Every other healthy clip of each motor is learned, the motor its attribute."""
    for condition, folder in (("normal", "healthy"), ("anomaly", "propeller")):
        for number, path in enumerate(sorted((directory / folder).glob("*.flac"))):
            split = "train" if condition == "normal" and number % 2 == 0 else "test"
            yield "motor", "00", "source", split, condition, path.stem.split("__")[1], data.read_clip(path)


def markdown(table: Table, figures: Mapping[tuple[str, int], Mapping[str, float]]) -> str:
    """A line per system: means and deviations over the seeds, percent."""
    columns = [f"{group} {figure}" for group in ("plant", "real") for figure in FIGURES]
    titles = {"auc": "AUC", "partial_auc": "pAUC", "f1_ev": "F1-EV"}
    heads = [f"{column.split()[0]} {titles[column.split()[1]]}" for column in columns]
    lines = [f"| system | {' | '.join(heads)} |", "|---|" + "---:|" * len(columns)]
    for row in table.rows:
        own = [found for (name, _), found in figures.items() if name == row.name]
        if own:
            cells = [percent([found[column] for found in own]) for column in columns]
            lines.append(f"| {row.label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def percent(values: Sequence[float]) -> str:
    """Mean and sample deviation."""
    deviation = f" ± {100.0 * float(np.std(values, ddof=1)):.1f}" if len(values) > 1 else ""
    return f"{100.0 * float(np.mean(values)):.1f}{deviation}"


def claims(figures: Mapping[tuple[str, int], Mapping[str, float]]) -> str:
    """The thesis's claims with the differences found: AUC in points, and its 95 % interval over seeds."""
    lines = ["| the thesis finds | plant: difference in AUC | real: difference in AUC | here |", "|---|---:|---:|---|"]
    for claim in CLAIMS:
        found = {group: differences(figures, claim.better, claim.worse, f"{group} auc") for group in ("plant", "real")}
        if all(len(values) > 1 for values in found.values()):
            intervals = {group: interval(values) for group, values in found.items()}
            cells = [
                f"{100.0 * float(values.mean()):+.1f} ({100.0 * low:+.1f} to {100.0 * high:+.1f})"
                for values, (low, high) in zip(found.values(), intervals.values(), strict=True)
            ]
            verdicts = "; ".join(f"{group} {verdict(*ends)}" for group, ends in intervals.items())
            lines.append(f"| {claim.text} | {cells[0]} | {cells[1]} | {verdicts} |")
    return "\n".join(lines)


def differences(
    figures: Mapping[tuple[str, int], Mapping[str, float]], better: str, worse: str, column: str
) -> np.ndarray:
    """Of the same seeds: (n_seeds,)."""
    seeds = sorted({seed for _, seed in figures})
    both = [s for s in seeds if (better, s) in figures and (worse, s) in figures]
    return np.array([figures[better, s][column] - figures[worse, s][column] for s in both])


def interval(values: np.ndarray) -> tuple[float, float]:
    """Student's 95 % interval of the mean of (n_seeds,)."""
    reach = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return float(values.mean()) - reach, float(values.mean()) + reach


def verdict(low: float, high: float) -> str:
    """What an interval of a difference says of a claim that there is one; below `MATTERS`, there is none."""
    if low > 0.0:
        return "confirmed"
    if high < 0.0:
        return "contradicted"
    return "no gain" if high < MATTERS else "open"


def stamp(n_seeds: int, experiment: Experiment) -> str:
    """Date, what was trained on, machine."""
    day = datetime.datetime.now(datetime.timezone.utc).date()
    n_train = sum(clip.for_training for clip in experiment.clips)
    versions = f"torch {torch.__version__}, python {platform.python_version()}, {platform.machine()}"
    return f"{day}, {n_train} training clips, {n_seeds} seeds, {versions}."


if __name__ == "__main__":
    main()
