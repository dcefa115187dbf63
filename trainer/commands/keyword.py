"""`edged-train keyword`: an embedder for spoken words, and its bundle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from trainer.commands.options import (
    CardOption,
    EpochsOption,
    OutOption,
    ResumeOption,
    RunOption,
    SeedOption,
    bundle_place,
    card_text,
    run_directory,
)


def keyword(
    *,
    out: OutOption,
    shots: Annotated[
        Path | None, typer.Option("--shots", help="A folder of clips per word: an embedder of these words alone.")
    ] = None,
    background: Annotated[
        Path | None, typer.Option("--background", help="Recordings without these words; needed with --shots.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Recorded words and noises for a general embedder (data pack layout).")
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option("--start-from", help="A bundle whose network is trained further, not from scratch.")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option("--teacher", help="A bundle to learn from, where the recipe does [the one of --start-from]."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="Of trainer/recipes, or a YAML file [keyword; with --shots keyword-thesis]."),
    ] = None,
    epochs: EpochsOption = None,
    seed: SeedOption = 0,
    run: RunOption = None,
    resume: ResumeOption = False,
    card: CardOption = None,
) -> None:
    """Train an embedder for spoken words and write a bundle that `edged` runs.

    Without --shots: a general one like the default bundle; words are enrolled later, without training. With --shots:
    one for these words, as in the thesis.

    Example: `edged-train keyword --shots words/ --background talk/ --out hall-bundle`
    """
    from trainer.keyword import train_keyword
    from trainer.keyword_recipe import KeywordTrainingOptions, load_recipe

    name = recipe or ("keyword" if shots is None else "keyword-thesis")
    place = bundle_place(out)
    options = KeywordTrainingOptions(
        out=place,
        recipe=load_recipe(name, **({} if epochs is None else {"max_epochs": epochs})),
        run_directory=run_directory(run, place),
        data=data,
        start_from=start_from,
        teacher=teacher,
        shots=shots,
        background=background,
        seed=seed,
        resume=resume,
        card=card_text(card),
        progress=sys.stderr.isatty(),
    )
    bundle = train_keyword(options)
    typer.echo(f"{bundle.directory}: {bundle.label}", err=True)
