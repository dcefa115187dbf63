"""`edged-train calibrate`: a keyword bundle with another background, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.commands.options import OutOption, SeedOption, bundle_place


def calibrate(
    *,
    bundle: Annotated[Path, typer.Option("--bundle", help="The keyword bundle whose network is used.")],
    out: OutOption,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Recorded words and noises (data pack layout) [synthetic only]."),
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, max=120.0, help="Of background speech.")] = 10.0,
    seed: SeedOption = 0,
    version: Annotated[str | None, typer.Option("--version", help="Of the new bundle [as it was].")] = None,
) -> None:
    """Write a keyword bundle anew with speech that holds no enrolled word, for budgets of false alarms per hour.

    Example: `edged-train calibrate --bundle speech --data pack/ --out speech-1.1`
    """
    from trainer.keyword_calibration import calibrated
    from trainer.keyword_run import speech_material

    place = bundle_place(out)
    made = calibrated(bundle, place, speech_material(data), 60.0 * minutes, seed=seed, version=version)
    typer.echo(f"{made.directory}: {made.label}", err=True)
