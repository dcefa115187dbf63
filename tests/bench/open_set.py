"""Few-shot open-set classification in the manner of the thesis's Table 29, on ESC-10 or on alarms made here.

    python tests/bench/open_set.py [--data esc10|alarms] [--seeds 3] [--folds 1] [--rows low-1,high-4] [--write FILE]

The thesis's alarms are not at hand; its columns stand beside ours for orientation only.

    esc10    7 of 10 classes are known, 3 are not, drawn by seed; of the 3 training knows all (low openness), 2 (middle)
             or none (high). Takes of a shot's own recording are not judged. Within a class every clip is another dog,
             another rain: far harder than alarms, which always sound alike.
    alarms   34 two-tone patterns in noise, 24 of them known, 12 clips each. What is unknown are alarms as well (in the
             thesis: coughs, music, engines). Harder or easier, it shows whether the systems do what they should.

The shallow classifier sits on the networks of the shipped bundles. Both heard ESC-10 as background noise in their own
training (without its classes, to be deaf to it), so they are no independent encoders.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import platform
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile as sf
import torch

import edged
from edged.flow import SAMPLE_RATE_HZ
from trainer.data.clips import data_directory
from trainer.open_set.reproduce import reproduce_open_set
from trainer.recipe_files import TableRow, load_table

THESIS = ("directly trained", "OpenL3", "PANN")
ALARM_S = 2.0
FIGURES = ("weighted_accuracy", "top_1_auc")


def main() -> None:
    """Print the table, row by row; optionally keep it in a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="esc10", choices=("esc10", "alarms"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=1, help="of each seed; 0 for all (the thesis)")
    parser.add_argument("--network", default="small", choices=("small", "compact", "dual-branch"))
    parser.add_argument("--rows", default="", help="names, separated by commas; all by default")
    parser.add_argument("--run", type=Path, help="run directory; a temporary one by default")
    parser.add_argument("--write", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    quiet()
    wanted = set(filter(None, arguments.rows.split(",")))
    rows = [row for row in load_table("29").rows if not wanted or row.name in wanted]
    is_esc10 = arguments.data == "esc10"
    segment_s, n_non_targets = (5.0, 3) if is_esc10 else (ALARM_S, 10)
    changes = {"segment_s": segment_s, "n_non_targets": n_non_targets, "n_folds": arguments.folds}
    changes["network"] = arguments.network
    with tempfile.TemporaryDirectory() as scratch:
        data = data_directory() / "noise" / "esc10" if is_esc10 else write_alarms(Path(scratch) / "alarms")
        run_table(data, rows, changes, range(arguments.seeds), arguments.run or Path(scratch), arguments.write)


def quiet() -> None:
    """Lightning greets at every training, and there are hundreds."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)


def write_alarms(root: Path) -> Path:
    """A folder per pattern; its clips differ in pitch by a percent, in phase, level and noise."""
    for number in range(34):
        pattern = np.random.default_rng(number)
        tones_hz, beats_hz = np.exp(pattern.uniform(np.log(300), np.log(5000), 2)), pattern.uniform(1.5, 6.0)
        folder = root / f"alarm{number:02d}"
        folder.mkdir(parents=True)
        for k in range(12):
            clip = alarm(tones_hz, beats_hz, np.random.default_rng((number, k)))
            sf.write(folder / f"{k:02d}.wav", clip.astype(np.float32), SAMPLE_RATE_HZ)
    return root


def alarm(tones_hz, beats_hz, rng):
    """Two tones in turn."""
    time_s = np.arange(round(ALARM_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    one, two = np.sin(2 * np.pi * rng.uniform(0.99, 1.01) * tones_hz[:, np.newaxis] * time_s)
    is_first = np.sin(2 * np.pi * beats_hz * time_s + rng.uniform(0.0, 2 * np.pi)) > 0
    level, noise = rng.uniform(0.05, 0.3), rng.uniform(0.005, 0.03)
    return level * np.where(is_first, one, 0.6 * two) + noise * rng.standard_normal(len(time_s))


def run_table(
    data: Path,
    rows: Sequence[TableRow],
    changes: Mapping[str, object],
    seeds: Sequence[int],
    run: Path,
    target: Path | None,
) -> None:
    """Cheap rows first, so that an interrupted run leaves most of the table."""
    lines: list[str] = []
    for row in sorted(rows, key=lambda row: int(row.recipe["shots"])):
        start = time.process_time()
        recipe = {**row.recipe, **changes}
        figures = reproduce_open_set(data, recipe, seeds, run)
        systems = [name for name in figures if ":" not in name]
        lines = lines or heading(data.name, systems, len(seeds), changes)
        lines.append(line(row, systems, figures))
        print(f"{lines[-1]}  [{time.process_time() - start:.0f} s CPU]", flush=True)
        if target is not None:
            write_whole(target, "\n".join([*lines, "", stamp()]) + "\n")
    print("\n".join([*lines, "", stamp()]))


def heading(data: str, systems: Sequence[str], n_seeds: int, changes: Mapping[str, object]) -> list[str]:
    """What the columns are."""
    own = [f"{name}: weighted accuracy / top-1 AUC" for name in systems]
    columns = ["openness, shots", *own, *(f"thesis (other data): {name}" for name in THESIS)]
    said = ", ".join(f"{key} {value}" for key, value in changes.items())
    intro = f"{data}, percent, mean ± deviation over {n_seeds} seeds; {said}."
    return [intro, "", "| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]


def line(row: TableRow, systems: Sequence[str], figures: Mapping[str, tuple[float, ...]]) -> str:
    """One row: both figures of every system, then the thesis's weighted accuracies."""
    cells = [" / ".join(spread(figures[f"{name}: {figure}"]) for figure in FIGURES) for name in systems]
    cells += ["{:.1f} ± {:.1f}".format(*row.thesis[name]) for name in THESIS]
    return f"| {row.label} | " + " | ".join(cells) + " |"


def spread(values: Sequence[float]) -> str:
    """Mean and deviation in percent."""
    return f"{100 * np.mean(values):.1f} ± {100 * np.std(values):.1f}"


def stamp() -> str:
    """When and with what."""
    day = datetime.datetime.now(datetime.timezone.utc).date()
    versions = f"torch {torch.__version__}, python {platform.python_version()}, edged {edged.__version__}"
    return f"{day}, {platform.machine()}, {versions}."


def write_whole(path: Path, text: str) -> None:
    """Written beside and renamed."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


if __name__ == "__main__":
    main()
