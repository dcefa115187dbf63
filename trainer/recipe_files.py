"""Where recipes come from: files of trainer/recipes, rows of the thesis's tables, or files of one's own."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edged.errors import ConfigError

RECIPES = Path(__file__).parent / "recipes"
TABLES = RECIPES / "tables"


@dataclass(frozen=True)
class TableRow:
    """One system of a table.

    Attributes:
        name: short, without blanks; ``table-25/adaproj`` names the row.
        label: for people.
        recipe: fields that differ from the table's base.
        backend: name and parameters of the back end its embeddings are scored with.
        thesis: figure -> (mean, standard deviation) in percent, as printed; the deviation is NaN where none is given.
    """

    name: str
    label: str
    recipe: Mapping[str, Any]
    backend: Mapping[str, Any]
    thesis: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Table:
    """A table of the thesis as recipes.

    Attributes:
        kind: what is compared: ``anomaly``, ``thresholds``, ``open-set`` or ``keyword``.
        figures: what its columns are, for instance ``auc``; the thesis's figures carry the same names.
    """

    name: str
    title: str
    kind: str
    harmonic: bool
    figures: tuple[str, ...]
    rows: tuple[TableRow, ...]


def recipe_names(kind: str) -> list[str]:
    """Names of the recipe files of one kind."""
    return sorted(path.stem for path in RECIPES.glob(f"{kind}*.yaml"))


def table_names() -> list[str]:
    """Names of the tables, in the thesis's order."""
    return sorted((path.stem for path in TABLES.glob("*.yaml")), key=lambda name: (len(name), name))


def read_recipe(name: str, kind: str) -> dict[str, Any]:
    """Fields of a recipe: ``name``, ``table/row`` or ``path.yaml``.

    Raises:
        ConfigError: nothing of that name, or a file that holds no fields.
    """
    if name.endswith((".yaml", ".yml")):
        return read_fields(Path(name))
    table, _, row = name.partition("/")
    if row and table in table_names():
        return dict(_row(load_table(table), row).recipe)
    if name not in recipe_names(kind):
        known = [*recipe_names(kind), *(f"{table}/ROW" for table in table_names())]
        raise ConfigError(f"no recipe '{name}'{closest(name, known)}", fix=f"one of {', '.join(known)}, or a YAML file")
    return read_fields(RECIPES / f"{name}.yaml")


def load_table(name: str) -> Table:
    """A table by name (``table-25`` or ``25``).

    Raises:
        ConfigError: no such table.
    """
    stem = name if name.startswith("table-") else f"table-{name}"
    if stem not in table_names():
        raise ConfigError(f"no table '{name}'", fix=f"one of {', '.join(table_names())}")
    fields = read_fields(TABLES / f"{stem}.yaml")
    base, backend = fields.get("base", {}), fields.get("backend", {})
    rows = tuple(_parse_row(row, base, backend) for row in fields["rows"])
    figures = tuple(fields.get("figures", ("auc", "partial_auc")))
    return Table(stem, fields["title"], fields.get("kind", "anomaly"), fields.get("harmonic", True), figures, rows)


def _parse_row(fields: Mapping[str, Any], base: Mapping[str, Any], backend: Mapping[str, Any]) -> TableRow:
    name = fields["name"]
    thesis = {figure: _mean_and_deviation(value) for figure, value in fields.get("thesis", {}).items()}
    recipe = {**base, **fields.get("recipe", {})}
    return TableRow(name, fields.get("label", name), recipe, fields.get("backend", backend), thesis)


def _mean_and_deviation(value: float | list[float]) -> tuple[float, float]:
    mean, deviation = value if isinstance(value, list) else (value, float("nan"))
    return float(mean), float(deviation)


def _row(table: Table, name: str) -> TableRow:
    for row in table.rows:
        if row.name == name:
            return row
    known = ", ".join(row.name for row in table.rows)
    raise ConfigError(f"{table.name} has no row '{name}'", fix=f"one of {known}")


def read_fields(path: Path) -> dict[str, Any]:
    """The mapping a YAML file holds.

    Raises:
        ConfigError: unreadable, or no mapping.
    """
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: a 13th month, or no UTF-8
        raise ConfigError(f"{path}: {' '.join(str(error).split())}", fix="name a YAML file of recipe fields") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{path}: holds no fields", fix="write one 'name: value' per line")
    return fields


def closest(name: str, known: Sequence[str]) -> str:
    """What may have been meant, in words; empty where nothing is near."""
    (*_, best) = ("", *difflib.get_close_matches(name, known, 1))
    return f"; did you mean '{best}'?" if best else ""
