"""What `edged-train reproduce` does: finds the data, runs the table and words the outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
import yaml

from edged.errors import ConfigError, UsageError
from trainer.anomaly_recipe import AnomalyRecipe
from trainer.data.recordings import read_machine_data
from trainer.experiment import Experiment
from trainer.files import storage
from trainer.recipe_files import Table, TableRow, closest
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
        ConfigError: a change that is no field or changes nothing here, or an unknown row.
        AudioError: data that cannot be used.
    """
    parsed = parse_changes(changes)
    refuse_idle_changes(table.kind, parsed)
    if data is None:
        raise UsageError("no data to run the table on", fix="give --data; `edged-train plant` makes a synthetic set")
    with storage(run):
        run.mkdir(parents=True, exist_ok=True)
    run_row = KINDS[table.kind](table, Asked(data, run, seeds, progress))
    return reproduce(table, run_row, run, parsed, only=rows, done=_tell)


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


IDLE = ("synthetic_", "recorded_repeats", "noise_probability", "snr_", "embedding_", "statistics_weight")
"""How fields begin that only `edged-train anomaly` heeds: a table is run on the given recordings alone."""


def refuse_idle_changes(kind: str, changes: Mapping[str, Any]) -> None:
    """Refuse what would be refused in every row, or do nothing in any.

    Raises:
        ConfigError: no field of the kind's recipes, or one that a table does not heed.
    """
    known = _fields(kind)
    for name in changes:
        if name not in known:
            raise ConfigError(
                f"--set {name}: no such field in a table{closest(name, known)}", fix=f"one of {', '.join(known)}"
            )


def _fields(kind: str) -> list[str]:
    """Of the recipes of a kind of table."""
    if kind == "open-set":
        from trainer.open_set.recipe import OpenSetRecipe

        return list(OpenSetRecipe.model_fields)
    if kind == "keyword":
        from trainer.keyword_systems.recipe import SystemRecipe

        return list(SystemRecipe.model_fields)
    return [name for name in AnomalyRecipe.model_fields if not name.startswith(IDLE)]


def parse_changes(changes: Sequence[str]) -> dict[str, Any]:
    """`name=value` as YAML values.

    Raises:
        ConfigError: not of that form, or a value that YAML does not take.

    >>> parse_changes(["max_epochs=3", "featex=true"])
    {'max_epochs': 3, 'featex': True}
    """
    result: dict[str, Any] = {}
    for change in changes:
        name, separator, value = change.partition("=")
        if not separator or not name:
            raise ConfigError(f"--set {change}: not of the form name=value", fix="for instance --set max_epochs=20")
        try:
            result[name] = yaml.safe_load(value)
        except (ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"--set {change}: not a YAML value", fix="put quotes around it") from error
    return result


def table_lines(table: Table, results: Sequence[RowResult], changes: Sequence[str]) -> str:
    """Title, what was changed, and the table."""
    changed = f"\nChanged in every row: {', '.join(changes)}." if changes else ""
    return f"{table.title}\n{changed}\n{markdown(table, results)}"


def _tell(result: RowResult) -> None:
    found = ", ".join(f"{name} {sum(values) / len(values):.3f}" for name, values in result.figures.items())
    typer.echo(f"{result.label}: {result.failure or found}", err=True)
