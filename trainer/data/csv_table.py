"""CSV files that people and data sets bring, with their mistakes named."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from edged.errors import AudioError

MAX_BYTES = 64 * 2**20

Row = dict[str, str]
"""Column name -> cell, stripped; cells that are missing are empty, cells beyond the header are under ``""``."""


@dataclass(frozen=True)
class CsvTable:
    """A table in memory.

    Attributes:
        header: column names.
        rows: number of its last line, and cells, of every row that is not empty.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[int, Row], ...]


def read_csv(path: Path) -> CsvTable:
    """A table in UTF-8 whose columns are divided by commas, or by semicolons as some spreadsheets save them.

    Raises:
        AudioError: missing, not UTF-8, not CSV (such as a quote that nothing closes), or larger than 64 MiB.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AudioError(f"{path}: larger than {MAX_BYTES // 2**20} MiB", fix="split it")
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = ";" if ";" in first and "," not in first else ","
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="", strict=True)
        rows = tuple((reader.line_num, {(name or "").strip(): _cell(v) for name, v in row.items()}) for row in reader)
        return CsvTable(tuple(name.strip() for name in reader.fieldnames or ()), rows)
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}", fix="check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise AudioError(f"{path}: no CSV in UTF-8 ({error})", fix="save it as CSV UTF-8") from error


def _cell(value: str | list[str] | None) -> str:
    """A cell as text; those beyond the header joined, so that nobody overlooks them."""
    return ",".join(value) if isinstance(value, list) else (value or "").strip()
