"""Table 31 of the thesis on the data pack: HFCC, sliding window, L_kw and TACos, with and without reversed segments.

    python tests/bench/keyword_systems.py [--seeds 3] [--write FILE]
    python tests/bench/keyword_systems.py --dailytalk KWS_TABLES DAILYTALK_DATA BACKGROUND --steps 100000 --width 16

Fifteen words (5 wake words on the telephone, 10 of coffee orders), five shots each; embedders learn from the shots and
noise alone. One limit for all words and one for each are tuned on one part of the sentences and judged on the other.
F1: onset within 0.25 s, micro-averaged; mean and standard deviation over draws of shots, sentences and weights. Of what
the thesis found is said what the 95 % interval of the difference over draws says (as in `losses.py`).

Results are kept in a file as they come: a run that was cut off goes on from there. `--write` puts the table between
`<!-- keyword-systems: begin -->` and `<!-- keyword-systems: end -->` of a file.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from losses import interval, verdict

from trainer.data.clips import data_directory
from trainer.evaluate.anomaly import write_between_marks
from trainer.keyword_systems.draw import dailytalk_draw, make_draw
from trainer.keyword_systems.recipe import SystemRecipe
from trainer.keyword_systems.system import Draw, run_system
from trainer.keyword_systems.table import Record, append_record, markdown, read_records, record_of
from trainer.recipe_files import Table, load_table

MARKS = ("<!-- keyword-systems: begin -->", "<!-- keyword-systems: end -->")
PEAK_RATE = 2e-3
CLAIMS = (
    ("TACos beats L_kw, without reversed segments", "tacos", "kw"),
    ("TACos beats L_kw, both with reversed segments", "tacos-reversed", "kw-reversed"),
    ("reversed segments help L_kw", "kw-reversed", "kw"),
    ("reversed segments help TACos", "tacos-reversed", "tacos"),
    ("TACos with reversed segments beats L_kw", "tacos-reversed", "kw"),
    ("TACos with reversed segments beats HFCC", "tacos-reversed", "hfcc"),
)
"""A sentence of the thesis, the system that is better, and the worse."""
INFERENCE_STEP = {"hfcc": 1, "sliding": 2, "temporal": 8}
"""Frames between segments when a sentence is embedded; 1 in the thesis."""


def main() -> None:
    """Run what is missing of the table, print it, and write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600, help="of every training, 32 segments each")
    parser.add_argument("--width", type=int, default=8, help="channels of the first stage; 16 in the thesis")
    parser.add_argument("--row", action="append", help="only this system; repeatable")
    parser.add_argument(
        "--dailytalk", type=Path, nargs=3, help="KWS-DailyTalk: its tables, audio, background recordings"
    )
    parser.add_argument("--results", type=Path, default=Path("keyword-systems.jsonl"), help="where results are kept")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a file with the marks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = load_table("31")
    for seed in range(arguments.seeds):
        run_missing(table, seed, arguments)
    records = read_records(arguments.results)
    text = "\n\n".join([claims(records), markdown(table, records), note(arguments, records)])
    print(text)
    if arguments.write:
        write_between_marks(arguments.write, text, MARKS)


def run_missing(table: Table, seed: int, arguments: argparse.Namespace) -> None:
    """The systems of one draw that have no result yet."""
    wanted = [row for row in table.rows if row.name in (arguments.row or [r.name for r in table.rows])]
    draw: Draw | None = None
    for row in wanted:
        if (row.name, seed) in {(record["system"], record["seed"]) for record in read_records(arguments.results)}:
            continue
        draw = draw or (
            dailytalk_draw(*arguments.dailytalk) if arguments.dailytalk else make_draw(data_directory(), seed)
        )
        shrunk = {"steps": arguments.steps, "width": arguments.width, "learning_rate": PEAK_RATE}
        recipe = SystemRecipe(
            **{**row.recipe, **shrunk, "inference_step_frames": INFERENCE_STEP[row.recipe["features"]]}
        )
        record = run_one(recipe, row.name, draw, seed)
        append_record(arguments.results, record)
        print(seed, row.name, {k: round(v, 1) for k, v in record["figures"].items() if "f1" in k}, file=sys.stderr)


def run_one(recipe: SystemRecipe, name: str, draw: Draw, seed: int) -> Record:
    """Train and judge in a run directory that is not kept."""
    with tempfile.TemporaryDirectory() as folder:
        return record_of(name, seed, run_system(recipe, draw, seed, Path(folder), progress=sys.stderr.isatty()))


def claims(records: Sequence[Record]) -> str:
    """Differences in test F1, points."""
    lines = ["| the thesis finds | one limit for all words | one for each | here |", "|---|---:|---:|---|"]
    for text, better, worse in CLAIMS:
        cells, verdicts = [], []
        for limit in ("global", "individual"):
            values = differences(records, better, worse, f"test {limit} f1")
            if len(values) > 1:
                low, high = interval(values)
                cells.append(f"{values.mean():+.1f} ({low:+.1f} to {high:+.1f})")
                verdicts.append(verdict(low / 100.0, high / 100.0))
        if verdicts:
            lines.append(f"| {text} | {' | '.join(cells)} | {'; '.join(dict.fromkeys(verdicts))} |")
    return "\n".join(lines)


def differences(records: Sequence[Record], better: str, worse: str, figure: str) -> np.ndarray:
    """Of the same draws: (n_draws,)."""
    found = {(record["system"], record["seed"]): record["figures"][figure] for record in records}
    return np.array([value - found[worse, seed] for (name, seed), value in found.items()
                     if name == better and (worse, seed) in found])  # fmt: skip


def note(arguments: argparse.Namespace, records: Sequence[Record]) -> str:
    """What was shrunk, and what it cost."""
    seconds = {
        name: np.mean([record["training_s"] for record in records if record["system"] == name])
        for name in dict.fromkeys(record["system"] for record in records)
    }
    cost = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items() if name != "hfcc")
    return (
        f"{datetime.datetime.now(datetime.timezone.utc).date()}, torch {torch.__version__}, one core, "
        f"{len({record['seed'] for record in records})} draws; {arguments.steps} steps of 32 segments per training "
        f"(thesis: 1000 epochs), {arguments.width} channels in the first stage (thesis: 16). Training: {cost}."
    )


if __name__ == "__main__":
    main()
