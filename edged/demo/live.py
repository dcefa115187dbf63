"""The live picture: scene clock, chapter, one line with a score trace per stream, the latest events."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from edged.demo.outcome import Row, clock
from edged.demo.record import Level, Record, Said
from edged.demo.story import Chapter
from edged.demo.timeline import HALL, MACHINES
from edged.demo.view import print_outcome, sentence

TRACE_SEGMENTS = (8, 64)
"""Least and most segments in a score trace."""
_OTHER_COLUMNS = 52
_OTHER_LINES = 14
EVENT_LINES = (3, 12)
"""Least and most events in the list."""
_BARS = "▁▂▃▄▅▆▇█"
_STYLES = {"onset": "bold red", "update": "red", "cleared": "green", "keyword": "bold cyan"}


class LiveView:
    """Redraws a panel in place; what it showed last stays above the table."""

    def __init__(self, console: Console, duration_s: float, speed: float) -> None:
        self._console = console
        self._duration_s = duration_s
        self._speed = speed
        self._events: deque[Text] = deque(maxlen=EVENT_LINES[1])
        self._live = Live(console=console, refresh_per_second=12, transient=False)
        self._shown = False

    def __enter__(self) -> LiveView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def step(self, text: str) -> None:
        """A dim line before the picture."""
        self._console.print(Text(text, "dim"))

    def said(self, said: Said) -> None:
        """Into the list of events."""
        self._events.append(Text.assemble((f"{clock(said.at_s):>6s}  ", "dim"), (sentence(said), _STYLES[said.kind])))

    def command(self, now_s: float, text: str) -> None:
        """Into the list of events."""
        self._events.append(Text.assemble((f"{clock(now_s):>6s}  ", "dim"), ("$ " + text, "bold yellow")))

    def show(self, record: Record, chapter: Chapter) -> None:
        """Draw anew."""
        self._live.update(self._picture(record, chapter))
        if not self._shown:
            self._shown = True
            self._live.start()

    def finish(self, rows: Sequence[Row], wall_s: float) -> None:
        """The table below the last picture."""
        self._live.stop()
        print_outcome(self._console, rows, wall_s)

    def _trace_segments(self) -> int:
        least, most = TRACE_SEGMENTS
        return min(max(self._console.width - _OTHER_COLUMNS, least), most)

    def _latest_events(self) -> list[Text]:
        least, most = EVENT_LINES
        n_lines = min(max(self._console.height - _OTHER_LINES, least), most)
        shown = list(self._events)[-n_lines:]
        return shown + [Text("")] * (n_lines - len(shown))

    def _picture(self, record: Record, chapter: Chapter) -> RenderableType:
        head = Table.grid(expand=True, padding=(0, 2))
        head.add_column()
        head.add_column(ratio=1)
        head.add_column()
        head.add_row(
            Text(f"{clock(record.now_s)} of {clock(self._duration_s)}", "bold"),
            ProgressBar(total=self._duration_s, completed=record.now_s),
            Text(f"{self._speed:g} x real time", "dim"),
        )
        parts: tuple[RenderableType, ...] = (
            head,
            Padding(Text.assemble((chapter.title, "bold"), "  ", (chapter.sentence, "italic")), (1, 0)),
            _streams(record, self._trace_segments()),
            Rule("events, as they come over ZeroMQ", style="dim"),
            *self._latest_events(),
        )
        return Panel(Group(*parts), title="[bold]edged demo[/bold]: a plant hall", border_style="blue", padding=(1, 2))


def _streams(record: Record, trace_segments: int) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(no_wrap=True)
    for stream in MACHINES:
        levels = record.levels.get(stream, [])
        alarm = record.alarm_of(stream)
        state = Text(f"ALARM since {clock(alarm.onset_s)}", "bold white on red") if alarm else Text("normal", "green")
        table.add_row(Text(stream, "bold"), score_trace(levels, trace_segments), _figures(levels), state)
    words = [said for said in record.said if said.kind == "keyword"]
    heard = ", ".join(clock(said.onset_s) for said in words[-4:])
    found = Text(f'"{words[-1].keyword}" at {heard}' if words else "listening", "cyan" if words else "dim")
    found.truncate(trace_segments, overflow="ellipsis")
    table.add_row(Text(HALL, "bold"), found, "", Text(f"heard {len(words)} x" if words else "", "cyan"))
    return table


def score_trace(levels: Sequence[Level], n_segments: int) -> Text:
    """One bar for each of the latest segments; half height is the threshold, red is above it."""
    trace = Text()
    for level in levels[-n_segments:]:
        height = int(len(_BARS) / 2 * level.score / level.threshold)
        bar = _BARS[min(max(height, 0), len(_BARS) - 1)]
        trace.append(bar, "red" if level.score > level.threshold else "green")
    trace.append(" " * (n_segments - len(trace)))
    return trace


def _figures(levels: Sequence[Level]) -> Text:
    if not levels:
        return Text("", "dim")
    return Text(f"score {levels[-1].score:5.1f} / {levels[-1].threshold:.1f}", "dim")
