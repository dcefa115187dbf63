"""`edged-train check`: what is wrong with recordings, before hours are spent on them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from trainer.data.check_report import Finding, Report

_LISTED_FILES = 3
_PIPE_WIDTH = 10_000  # tables are as wide as their cells; nothing is cut for programs that read lines


def check(
    data: Annotated[
        Path, typer.Argument(help="A DCASE, MIMII or ToyADMOS tree, a plain folder of recordings, or a .csv manifest.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")] = False,
) -> None:
    """Look for broken files, copies between training and test, classes that cannot be learnt, and telling loudness.

    Every file is read once. Exit code 1 if something makes training or its figures worthless.

    Example: `edged-train check recordings/`
    """
    from trainer.data.check import check_data
    from trainer.data.recordings import read_machine_data

    report = check_data(read_machine_data(data), progress=sys.stderr.isatty())
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    else:
        _print(report, data)
    if report.has_errors:
        raise typer.Exit(1)


def _print(report: Report, data: Path) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    formats = "; ".join(f"{n} x {name}" for name, n in report.formats.items())
    overview = f"{report.n_clips} recordings, {report.hours:.1f} h, {report.classes} classes; {formats}"
    console.print(overview, markup=False, highlight=False)
    console.print(_sections(report))
    console.print(_findings(report, data) if report.findings else "nothing found")


def _sections(report: Report) -> Table:
    from rich.table import Table

    counts = ("train source", "target", "classes", "test normal", "anomaly", "unknown", "supplemental")
    table = Table("machine", "section")
    for name in (*counts, "min s", "median s", "max s"):
        table.add_column(name, justify="right")
    for s in report.sections:
        numbers = (s.train_source, s.train_target, s.classes, s.test_normal, s.test_anomaly, s.test_unknown)
        lengths = (s.shortest_s, s.median_s, s.longest_s)
        row = (*map(str, numbers), str(s.supplemental), *(f"{length:.1f}" for length in lengths))
        table.add_row(_plain(s.machine), _plain(s.section), *row)
    return table


def _findings(report: Report, data: Path) -> Table:
    from rich.table import Table

    table = Table("", "found", "files", "what to do", show_lines=True)
    styles = {"error": "bold red", "warning": "yellow", "note": "dim"}
    for finding in report.findings:
        severity = f"[{styles[finding.severity]}]{finding.severity}[/]"
        table.add_row(severity, _plain(finding.message), _plain(_files(finding, data)), _plain(finding.fix))
    return table


def _files(finding: Finding, data: Path) -> str:
    """The first files, as far as possible relative to what was checked."""
    details = finding.details or ("",) * len(finding.paths)
    lines = [f"{path} {detail}".strip() for path, detail in zip(finding.paths, details, strict=True)]
    more = [f"and {len(lines) - _LISTED_FILES} more (--json)"] if len(lines) > _LISTED_FILES else []
    return "\n".join([*lines[:_LISTED_FILES], *more]).replace(f"{data}/", "")


def _plain(text: str) -> str:
    """Names of files may hold what rich takes for markup."""
    from rich.markup import escape

    return escape(text.encode("utf-8", "replace").decode())
