"""`edged-train export`: the last checkpoint of a run, as a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.commands.options import OutOption, RecipeOption, RunOption, bundle_place, run_directory


def export(
    *,
    out: OutOption,
    recipe: RecipeOption = "anomaly",
    run: RunOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Keyword runs: recorded words for the background [the run's own].")
    ] = None,
) -> None:
    """Write the bundle of a run that was stopped before its end, from its last checkpoint.

    Examples:
        edged-train export --run press-bundle.run --out press-bundle

        edged-train export --recipe keyword --run speech.run --out speech
    """
    from trainer.anomaly import export_run
    from trainer.anomaly_recipe import load_recipe as anomaly_recipe
    from trainer.keyword import export_general
    from trainer.keyword_recipe import KeywordTrainingOptions, is_keyword_recipe
    from trainer.keyword_recipe import load_recipe as keyword_recipe

    place = bundle_place(out)
    directory = run_directory(run, place)
    if is_keyword_recipe(recipe):
        options = KeywordTrainingOptions(out=place, recipe=keyword_recipe(recipe), run_directory=directory, data=data)
        bundle = export_general(options)
    else:
        bundle = export_run(directory, place, anomaly_recipe(recipe))
    typer.echo(f"{bundle.directory}: {bundle.label}", err=True)
