"""The `edged-train` command: trains embedders and writes them as bundles."""

from __future__ import annotations

import sys

import typer

from edged.errors import EdgedError
from trainer.commands.anomaly import anomaly
from trainer.commands.export import export
from trainer.commands.keyword import keyword

app = typer.Typer(
    name="edged-train",
    help="Trains the embedding networks that edged runs, and exports them as verified bundles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

app.command()(anomaly)
app.command()(keyword)
app.command()(export)


def main() -> None:
    """Entry point: exit codes as of `edged`."""
    try:
        app()
    except EdgedError as error:
        print(f"edged-train: {error}", file=sys.stderr)  # noqa: T201 - a command line tool talks to people
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
