"""Table 31 with our figures beside the thesis's, from the results of several draws."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from trainer.keyword_systems.system import Result
from trainer.recipe_files import Table, TableRow

KINDS = ("global", "individual")
PARTS = ("validation", "test")
FIGURES = ("f1", "precision", "recall")

Record = Mapping[str, Any]
"""One line of the file of results: system, seed, figures in percent by name, seconds."""


def record_of(system: str, seed: int, result: Result) -> dict[str, Any]:
    """What is kept of a result."""
    figures = {
        f"{part} {kind} {figure}": 100.0 * float(getattr(counts, figure))
        for (kind, part), counts in result.figures.items()
        for figure in FIGURES
    }
    counts = {f"{part} {kind}": asdict(c) for (kind, part), c in result.figures.items()}
    seconds = {"training_s": result.training_s, "listening_s": result.listening_s}
    return {"system": system, "seed": seed, "figures": figures, "counts": counts, **seconds}


def append_record(path: Path, record: Record) -> None:
    """Add a line; a run that is cut off goes on behind it."""
    with path.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(record) + "\n")


def read_records(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of results; none where there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines]


def markdown(table: Table, records: Sequence[Record]) -> str:
    """Each system with one limit for all words and with one for each, mean and standard deviation over the draws."""
    head = ["features", "reversed", "limit"]
    head += [f"{part}: {figure}" for part in PARTS for figure in ("F1", "precision / recall", "thesis F1")]
    lines = ["| " + " | ".join(head) + " |", "|---|---|---|" + "---:|" * (len(head) - 3)]
    for row in table.rows:
        mine = [record["figures"] for record in records if record["system"] == row.name]
        lines += [_line(row, kind, mine) for kind in KINDS] if mine else []
    return "\n".join(lines)


def _line(row: TableRow, kind: str, figures: Sequence[Mapping[str, float]]) -> str:
    is_trained = row.recipe["features"] != "hfcc"
    turned = ("used" if row.recipe.get("reversed_segments") else "not used") if is_trained else "not applicable"
    cells = [row.label, turned, kind]
    for part in PARTS:
        f1, precision, recall = ([one[f"{part} {kind} {figure}"] for one in figures] for figure in FIGURES)
        cells += [
            f"{np.mean(f1):.1f} ± {deviation(f1):.1f}",
            f"{np.mean(precision):.0f} / {np.mean(recall):.0f}",
            f"{row.thesis[f'{part} {kind} f1'][0]:.1f}",
        ]
    return "| " + " | ".join(cells) + " |"


def deviation(values: Iterable[float]) -> float:
    """Standard deviation over draws, of a sample; 0 for one draw."""
    sample = list(values)
    return float(np.std(sample, ddof=1)) if len(sample) > 1 else 0.0
