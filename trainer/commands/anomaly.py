"""`edged-train anomaly`: an embedder for machine sounds, and its bundle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from trainer.commands.options import (
    CardOption,
    DevicesOption,
    EpochsOption,
    NodesOption,
    OutOption,
    PrecisionOption,
    RecipeOption,
    ResumeOption,
    RunOption,
    SeedOption,
    bundle_place,
    card_text,
    run_directory,
)


def anomaly(
    *,
    out: OutOption,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Recordings: a DCASE or MIMII tree, a folder, a CSV manifest; normal ones are used."
        ),
    ] = None,
    noise: Annotated[Path | None, typer.Option("--noise", help="Background recordings to mix in.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="Leave out files whose path holds this; repeatable.")
    ] = None,
    synthetic: Annotated[
        int | None, typer.Option("--synthetic", min=0, help="Synthetic machines beside the recordings.")
    ] = None,
    recipe: RecipeOption = "anomaly",
    epochs: EpochsOption = None,
    seed: SeedOption = 0,
    run: RunOption = None,
    resume: ResumeOption = False,
    precision: PrecisionOption = "32-true",
    devices: DevicesOption = 1,
    num_nodes: NodesOption = 1,
    card: CardOption = None,
) -> None:
    """Train an embedder on normal machine sound and write a bundle that `edged` runs.

    Example: `edged-train anomaly --data recordings/ --noise noises/ --out press-bundle --epochs 20`
    """
    from trainer.anomaly import AnomalyTrainingOptions, train_anomaly
    from trainer.anomaly_corpus import Sources
    from trainer.anomaly_recipe import load_recipe

    overrides = {"max_epochs": epochs, "synthetic_machines": synthetic}
    chosen = load_recipe(recipe, **{name: value for name, value in overrides.items() if value is not None})
    place = bundle_place(out)
    options = AnomalyTrainingOptions(
        out=place,
        recipe=chosen,
        run_directory=run_directory(run, place),
        sources=Sources(data, noise, tuple(exclude or ())),
        seed=seed,
        resume=resume,
        precision=precision,
        devices=devices,
        num_nodes=num_nodes,
        card=card_text(card),
        progress=sys.stderr.isatty(),
    )
    bundle = train_anomaly(options)
    if bundle is not None:
        typer.echo(f"{bundle.directory}: {bundle.label}", err=True)
