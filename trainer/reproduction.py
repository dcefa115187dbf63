"""What `edged-train reproduce` does: finds the data, runs the table and words the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
import yaml

from edged.errors import ConfigError, UsageError
from trainer.data.recordings import read_machine_data
from trainer.experiment import Experiment
from trainer.recipe_files import Table
from trainer.reproduce import Overrides, RowResult, markdown, reproduce


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
    experiment = Experiment(tuple(read_machine_data(data)), run, progress=progress)
    return reproduce(table, experiment, seeds, Overrides(parse_changes(changes)), only=rows, done=_tell)


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
