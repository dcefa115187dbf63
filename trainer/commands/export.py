"""`edged-train export`: the last checkpoint of a run, as a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.commands.options import OutOption, RunOption, bundle_place, run_directory


def export(
    *,
    out: OutOption,
    recipe: Annotated[
        str, typer.Option("--recipe", help="Of a run that has no config.yaml; others have their own.")
    ] = "anomaly",
    run: RunOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Keyword runs: recorded words for the background [the run's own].")
    ] = None,
) -> None:
    """Write the bundle of a run that was stopped before its end, from its last checkpoint.

    Examples:
        edged-train export --run press-bundle.run --out press-bundle

        edged-train export --run speech.run --data DATA_PACK --out speech
    """
    from trainer.anomaly import export_run
    from trainer.anomaly_recipe import load_recipe as anomaly_recipe
    from trainer.anomaly_recipe import parse_recipe
    from trainer.keyword import export_general
    from trainer.keyword_recipe import KeywordTrainingOptions, is_keyword_recipe
    from trainer.keyword_recipe import load_recipe as keyword_recipe
    from trainer.run_directory import CONFIG, recipe_of_run

    place = bundle_place(out)
    directory = run_directory(run, place)
    own = recipe_of_run(directory)
    if "kind" in own if own is not None else is_keyword_recipe(recipe):
        otherwise = keyword_recipe(recipe if own is None else "keyword")  # the run's own is taken where it has one
        options = KeywordTrainingOptions(out=place, recipe=otherwise, run_directory=directory, data=data)
        bundle = export_general(options)
    else:
        chosen = anomaly_recipe(recipe) if own is None else parse_recipe(str(directory / CONFIG), own)
        bundle = export_run(directory, place, chosen)
    typer.echo(f"{bundle.directory}: {bundle.label}", err=True)
