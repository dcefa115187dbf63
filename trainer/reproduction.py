"""What `edged-train reproduce` does: finds the data, runs the table and words the outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
import yaml

from edged.errors import ConfigError, UsageError
from trainer.data.recordings import read_machine_data
from trainer.experiment import Experiment
from trainer.recipe_files import Table, TableRow
from trainer.reproduce import AnomalyRows, RowResult, RunRow, markdown, reproduce


@dataclass(frozen=True)
class Asked:
    """What a table is to be run on.

    Attributes:
        data: recordings, in the form that the table's kind takes.
        run: directory of what is trained.
        seeds: one trial each.
        progress: whether bars are shown.
    """

    data: Path
    run: Path
    seeds: Sequence[int]
    progress: bool = False


def run_table(
    table: Table,
    data: Path | None,
    run: Path,
    *,
    seeds: Sequence[int],
    changes: Sequence[str] = (),
    rows: Sequence[str] = (),
    progress: bool = False,
) -> list[RowResult]:
    """Every row of a table on the given data.

    Raises:
        UsageError: no data given.
        ConfigError: a change that is no field, or an unknown row.
        AudioError: data that cannot be used.
    """
    if data is None:
        raise UsageError("no data to run the table on", fix="give --data; `edged-train plant` makes a synthetic set")
    run.mkdir(parents=True, exist_ok=True)
    run_row = KINDS[table.kind](table, Asked(data, run, seeds, progress))
    return reproduce(table, run_row, run, parse_changes(changes), only=rows, done=_tell)


def _anomaly(table: Table, asked: Asked) -> RunRow:
    """`data`: whatever `read_machine_data` takes."""
    clips = tuple(read_machine_data(asked.data))
    return AnomalyRows(table, Experiment(clips, asked.run, progress=asked.progress), asked.seeds)


def _open_set(_: Table, asked: Asked) -> RunRow:
    """`data`: a folder of clips per class."""
    from trainer.open_set.reproduce import reproduce_open_set

    def run_row(row: TableRow, fields: Mapping[str, object]) -> RowResult:
        figures = reproduce_open_set(asked.data, fields, asked.seeds, asked.run, progress=asked.progress)
        return RowResult(row.name, row.label, figures, {}, row.thesis)

    return run_row


def _keyword(table: Table, asked: Asked) -> RunRow:
    """`data`: speech and noise in the layout of `trainer.keyword_systems.draw`."""
    from trainer.keyword_systems.reproduce import system_figures

    def run_row(row: TableRow, fields: Mapping[str, object]) -> RowResult:
        place = asked.run / row.name
        per_seed = [system_figures(asked.data, fields, seed, place / str(seed), asked.progress) for seed in asked.seeds]
        figures = {name: tuple(one[name] for one in per_seed) for name in table.figures}
        return RowResult(row.name, row.label, figures, {}, row.thesis)

    return run_row


KINDS: dict[str, Callable[[Table, Asked], RunRow]] = {
    "anomaly": _anomaly,
    "thresholds": _anomaly,
    "open-set": _open_set,
    "keyword": _keyword,
}


def parse_changes(changes: Sequence[str]) -> dict[str, Any]:
    """`name=value` as YAML values.

    Raises:
        ConfigError: not of that form.

    >>> parse_changes(["max_epochs=3", "featex=true"])
    {'max_epochs': 3, 'featex': True}
    """
    result: dict[str, Any] = {}
    for change in changes:
        name, separator, value = change.partition("=")
        if not separator or not name:
            raise ConfigError(f"--set {change}: not of the form name=value", fix="for instance --set max_epochs=20")
        result[name] = yaml.safe_load(value)
    return result


def table_lines(table: Table, results: Sequence[RowResult], changes: Sequence[str]) -> str:
    """Title, what was changed, and the table."""
    changed = f"\nChanged in every row: {', '.join(changes)}." if changes else ""
    return f"{table.title}\n{changed}\n{markdown(table, results)}"


def _tell(result: RowResult) -> None:
    found = ", ".join(f"{name} {sum(values) / len(values):.3f}" for name, values in result.figures.items())
    typer.echo(f"{result.label}: {result.failure or found}", err=True)
