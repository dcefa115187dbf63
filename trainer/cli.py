"""The `edged-train` command: trains embedders and writes them as bundles."""

from __future__ import annotations

import sys

import typer

from edged.errors import EdgedError
from trainer.commands.align import align
from trainer.commands.anomaly import anomaly
from trainer.commands.calibrate import calibrate
from trainer.commands.check import check
from trainer.commands.evaluate import evaluate
from trainer.commands.explain import explain
from trainer.commands.export import export
from trainer.commands.keyword import keyword
from trainer.commands.plant import plant
from trainer.commands.precision import precision
from trainer.commands.reproduce import reproduce

app = typer.Typer(
    name="edged-train",
    help="Trains the networks that edged runs, judges and explains them, and exports them as verified bundles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

app.command()(check)
app.command()(anomaly)
app.command()(keyword)
app.command()(export)
app.command()(calibrate)
app.command()(evaluate)
app.command()(explain)
app.command()(reproduce)
app.command()(align)
app.command()(plant)
app.command()(precision)


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
