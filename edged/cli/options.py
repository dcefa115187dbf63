"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="Configuration file; default /etc/edged/edged.yaml where it exists.", show_default=False
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", help="State directory (banks, journal); overrides the configuration.", show_default=False),
]
StreamOption = Annotated[
    str | None,
    typer.Option("--stream", "-s", help="Name of the stream; may be left out where only one is known."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
JsonlOption = Annotated[bool, typer.Option("--jsonl", help="Print one JSON object per line on stdout.")]
