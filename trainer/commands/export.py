"""`edged-train export`: the last checkpoint of a run, as a bundle."""

from __future__ import annotations

import typer

from trainer.commands.options import OutOption, RecipeOption, RunOption, run_directory


def export(out: OutOption, recipe: RecipeOption = "anomaly", run: RunOption = None) -> None:
    """Write the bundle of an anomaly run that was stopped before its end, from its last checkpoint.

    Example: `edged-train export --run press-bundle.run --out press-bundle`
    """
    from trainer.anomaly import export_run, load_recipe

    bundle = export_run(run_directory(run, out), out, load_recipe(recipe))
    typer.echo(f"{bundle.directory}: {bundle.label}", err=True)
