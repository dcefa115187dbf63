"""What a person sees of the demo: a live picture on a terminal, plain lines elsewhere, nothing but JSON if asked."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edged.demo.outcome import Row, clock
from edged.demo.record import Record, Said
from edged.demo.story import Chapter


class View(Protocol):
    """Told what happens, in order; a context, so that a terminal is left as it was found."""

    def __enter__(self) -> View:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, however it ended."""

    def step(self, text: str) -> None:
        """Something is done before the scene begins."""

    def said(self, said: Said) -> None:
        """The daemon said something."""

    def command(self, now_s: float, text: str) -> None:
        """The operator typed something while the scene runs."""

    def show(self, record: Record, chapter: Chapter) -> None:
        """How things stand; called many times a second."""

    def finish(self, rows: Sequence[Row], wall_s: float) -> None:
        """The table at the end."""


class SilentView:
    """Says nothing (``--json``)."""

    def __enter__(self) -> SilentView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def step(self, text: str) -> None:
        """Not shown."""

    def said(self, said: Said) -> None:
        """Not shown."""

    def command(self, now_s: float, text: str) -> None:
        """Not shown."""

    def show(self, record: Record, chapter: Chapter) -> None:
        """Not shown."""

    def finish(self, rows: Sequence[Row], wall_s: float) -> None:
        """Not shown; the caller prints JSON."""


class PlainView(SilentView):
    """One line for everything that happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._title = ""

    def step(self, text: str) -> None:
        """A line."""
        self._line(text)

    def said(self, said: Said) -> None:
        """A line."""
        self._line(f"{clock(said.at_s):>6s}  {sentence(said)}")

    def command(self, now_s: float, text: str) -> None:
        """A line."""
        self._line(f"{clock(now_s):>6s}  $ {text}")

    def show(self, record: Record, chapter: Chapter) -> None:
        """A line when a chapter begins."""
        if chapter.title != self._title:
            self._title = chapter.title
            self._line(f"{clock(record.now_s):>6s}  -- {chapter.title}: {chapter.sentence}")

    def finish(self, rows: Sequence[Row], wall_s: float) -> None:
        """The table."""
        print_outcome(self._console, rows, wall_s)

    def _line(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


def sentence(said: Said) -> str:
    """An event in words.

    >>> sentence(Said("onset", "pump", 98.0, 88.0, None, score=7.1, threshold=3.0, bank=1))
    'pump   ALARM: abnormal since 1:28, score 7.1 over 3.0'
    """
    if said.kind == "keyword":
        length_s = (said.offset_s or said.onset_s) - said.onset_s
        return f'{said.stream:6s} WORD: "{said.keyword}" at {clock(said.onset_s)}, {length_s:.2f} s long'
    if said.kind == "onset":
        since = clock(said.onset_s)
        return f"{said.stream:6s} ALARM: abnormal since {since}, score {said.score:.1f} over {said.threshold:.1f}"
    if said.kind == "cleared":
        return f"{said.stream:6s} cleared: normal again, score {said.score:.1f}"
    return f"{said.stream:6s} alarm goes on, score {said.score:.1f} over {said.threshold:.1f}"


def print_outcome(console: Console, rows: Sequence[Row], wall_s: float) -> None:
    """The table of what happened against the scene's truth, and one line that sums it up."""
    table = Table(title="What happened, against the scene's truth", title_justify="left", title_style="bold")
    for column in ("in the scene", "expected", "edged"):
        table.add_column(column, overflow="fold")
    table.add_column("", justify="center")
    for row in rows:
        mark = Text("ok", "green") if row.good else Text("NO", "bold red")
        table.add_row(Text(row.what), Text(row.expected), Text(row.happened), mark)
    console.print(table)
    bad = sum(not row.good for row in rows)
    verdict = f"{bad} of {len(rows)} did not happen" if bad else f"all {len(rows)} as announced"
    console.print(Text(f"{verdict}; {wall_s:.0f} s in all", "bold red" if bad else "bold green"))


def plain_console() -> Console:
    """Standard output for programs and logs: no colour, wide enough for the table."""
    return Console(file=sys.stdout, width=132, color_system=None, force_terminal=False, highlight=False)
