"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OutOption = Annotated[Path, typer.Option("--out", help="Directory of the bundle to write.")]
RecipeOption = Annotated[str, typer.Option("--recipe", help="A recipe of trainer/recipes, or a YAML file.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of weights, sampling and augmentation.")]
RunOption = Annotated[
    Path | None, typer.Option("--run", help="Run directory (checkpoints, metrics); default: OUT with .run added.")
]
EpochsOption = Annotated[int | None, typer.Option("--epochs", min=1, help="Overrides the recipe.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on from the run directory's last checkpoint.")]

PrecisionOption = Annotated[
    str, typer.Option("--precision", help="`32-true`, or `16-mixed` / `bf16-mixed` on GPUs that are faster with it.")
]
DevicesOption = Annotated[int, typer.Option("--devices", min=1, help="Processes on this machine, one per GPU.")]
NodesOption = Annotated[int, typer.Option("--num-nodes", min=1, help="Machines, each started by torchrun.")]


def run_directory(run: Path | None, out: Path) -> Path:
    """The run directory asked for, or the one beside the bundle.

    >>> run_directory(None, Path("bundles/press")).name
    'press.run'
    """
    return run or out.with_name(out.name + ".run")
