"""The `edged` command: registers the command groups and turns errors into one line and an exit code."""

from __future__ import annotations

import sys

import typer

from edged import __version__
from edged.cli import bench as benchmark
from edged.cli import (
    bridge,
    daemon,
    doctor,
    enrolment,
    explain,
    feedback,
    inspection,
    keys,
    messages,
    orders,
    references,
    scoring,
)
from edged.cli import compile as compilation
from edged.cli.output import let_any_text_out
from edged.errors import EdgedError

app = typer.Typer(
    name="edged",
    help="Listens to machines and people on small computers; publishes anomaly and keyword events over ZeroMQ.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for group in (
    daemon, scoring, enrolment, references, feedback, messages, orders, explain, inspection, keys, compilation,
    benchmark, bridge, doctor,
):  # fmt: skip
    group.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"edged {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Options of the command itself."""


def main() -> None:
    """Entry point: exit codes are 0 ok, 1 failed, 2 usage, 78 configuration, 130 interrupted."""
    let_any_text_out()
    try:
        app()
    except EdgedError as error:
        print(f"edged: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


if __name__ == "__main__":
    main()
