"""Which words were spoken in which file, in their order: what one who listens once writes down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edged.errors import AudioError
from trainer.data.csv_table import read_csv

MAX_BYTES = 50_000_000
SEPARATOR = "|"

Orders = dict[str, list[str]]
"""File name as written -> its words."""


def read_orders(path: Path) -> Orders:
    """Read ``{"a.wav": ["milk", "sugar"]}`` or a CSV table.

    A table has the columns `file` and either `keyword`, one line per word in order, or `keywords`, all of a file's
    words with | between.

    Raises:
        AudioError: unreadable, of another shape, or without a word.
    """
    orders = _read_json(path) if path.suffix.lower() == ".json" else _read_csv(path)
    if not any(orders.values()):
        raise AudioError(f"{path}: names no words", fix='write {"a.wav": ["milk", "sugar"]}')
    return orders


def _read_json(path: Path) -> Orders:
    fix = 'write {"a.wav": ["milk", "sugar"]}'
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AudioError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB", fix="split it")
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise AudioError(f"{path}: {error}", fix=fix) from error
    if not isinstance(content, dict):
        raise AudioError(f"{path}: not a mapping of files to words", fix=fix)
    for file, words in content.items():
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
            raise AudioError(f"{path}: '{file}' has no list of words", fix=fix)
    return content


def _read_csv(path: Path) -> Orders:
    table = read_csv(path)
    column = next((name for name in ("keyword", "keywords") if name in table.header), None)
    if "file" not in table.header or column is None:
        raise AudioError(f"{path}, line 1: no columns file and keyword", fix=f"found: {', '.join(table.header)}")
    orders: Orders = {}
    for line, row in table.rows:
        words = [word.strip() for word in row[column].split(SEPARATOR)] if column == "keywords" else [row[column]]
        if not row["file"] or not all(words):
            raise AudioError(f"{path}, line {line}: no file or an empty word", fix="fill it in or remove the line")
        orders.setdefault(row["file"], []).extend(words)
    return orders
