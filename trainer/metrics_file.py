"""metrics.csv of a run: a row per epoch, whole at any moment, and going on where a resumed run goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from edged.errors import UsageError
from trainer.files import write_whole

METRICS = "metrics.csv"
FIRST_COLUMNS = ("epoch", "step")


class MetricsFile(Logger):
    """Lightning's logger that writes the file; only the first of several processes does.

    Args:
        path: of the file.
        first_step: steps behind the checkpoint that the run goes on from; later rows will be made again.
    """

    def __init__(self, path: Path, first_step: int = 0) -> None:
        super().__init__()
        self._path = path
        rows = read_metrics(path) if first_step and path.is_file() else []
        self._rows: list[dict[str, Any]] = [row for row in rows if row["step"] < first_step]

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    @property
    def version(self) -> str:
        """None: a run has one file."""
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a row.

        Raises:
            StorageError: the disk is full or refuses.
        """
        self._rows.append({**metrics, "step": step or 0})
        columns = [*FIRST_COLUMNS, *sorted({name for row in self._rows for name in row} - set(FIRST_COLUMNS))]
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, columns)
        table.writeheader()
        table.writerows(self._rows)
        write_whole(self._path, text.getvalue().encode())

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """None: they are in config.yaml."""


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv, each with what it has of the columns.

    Raises:
        UsageError: something else than numbers under a header with a step.
    """
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            return [_numbers(row) for row in csv.DictReader(handle)]
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise UsageError(f"{path}: not a table of metrics", fix="move it away; training does not need it") from error


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    numbers = {name: float(value) for name, value in row.items() if value}
    return numbers | {"step": int(numbers["step"])} | ({"epoch": int(numbers["epoch"])} if "epoch" in numbers else {})
