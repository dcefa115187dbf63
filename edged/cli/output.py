"""How commands print: results on stdout, everything for people's eyes on stderr when stdout is for programs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

_PIPE_WIDTH = 10_000  # a table is as wide as its cells; nothing is cut for programs that read lines


def let_any_text_out() -> None:
    """Names of files and devices may hold what is no text: print it escaped instead of ending with an error.

    In UTF-8 only lone surrogates are escaped, as JSON escapes them.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: Any) -> None:
    """One JSON document, indented."""
    print(json.dumps(value, indent=2, ensure_ascii=_is_not_unicode()))


def print_line(value: Mapping[str, Any]) -> None:
    """One JSON object on one line, flushed so that a pipe sees it at once."""
    print(json.dumps(value, ensure_ascii=_is_not_unicode(), separators=(", ", ": ")), flush=True)


def _is_not_unicode() -> bool:
    return not (sys.stdout.encoding or "").lower().startswith("utf")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table for people: no cell is cut, on a terminal it goes on in the next line.

    What looks like Rich's markup (`[old]`, `:mic:`) is text.
    """
    table = Table(*(Column(name, overflow="fold") for name in columns), title=title, title_justify="left")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, emoji=False).print(table)


def note(text: str) -> None:
    """A sentence for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def progress_bar() -> Progress:
    """A bar on stderr for long work; silent where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
