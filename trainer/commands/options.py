"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from edged.errors import UsageError

OutOption = Annotated[Path, typer.Option("--out", help="Directory of the bundle to write.")]
CardOption = Annotated[Path | None, typer.Option("--card", help="Text file that becomes the bundle's card.")]
RecipeOption = Annotated[str, typer.Option("--recipe", help="A recipe of trainer/recipes, or a YAML file.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of weights, sampling and augmentation.")]
RunOption = Annotated[
    Path | None, typer.Option("--run", help="Run directory (checkpoints, metrics); default: OUT with .run added.")
]
EpochsOption = Annotated[int | None, typer.Option("--epochs", min=1, help="Overrides the recipe.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on from the run directory's last checkpoint.")]

PrecisionOption = Annotated[
    Literal["32-true", "16-mixed", "bf16-mixed"],
    typer.Option("--precision", help="The mixed ones on GPUs that are faster with it."),
]
DevicesOption = Annotated[int, typer.Option("--devices", min=1, help="Processes on this machine, one per GPU.")]
NodesOption = Annotated[int, typer.Option("--num-nodes", min=1, help="Machines, each started by torchrun.")]


def bundle_place(out: Path) -> Path:
    """Where a bundle goes, looked at before hours are spent: writing one replaces all that is in its directory.

    Raises:
        UsageError: something else is there, or nothing can be written there.
    """
    from edged.embed.bundle import CALIBRATION_NAME, CARD_NAME, MANIFEST_NAME, MODEL_NAME, TYPED_MODEL_NAMES

    place = Path(os.path.abspath(out))  # noqa: PTH100 - a link is not followed: it is what would be replaced
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise UsageError(f"{out}: not a directory", fix="name another with --out")
    found = {path.name for path in place.iterdir()} if place.is_dir() else set()
    others = sorted(found - {CALIBRATION_NAME, CARD_NAME, MANIFEST_NAME, MODEL_NAME, *TYPED_MODEL_NAMES.values()})
    if others:
        raise UsageError(f"{out}: holds files that are no bundle's ({others[0]})", fix="name another with --out")
    above = next(path for path in place.parents if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UsageError(f"{above}: cannot be written", fix="name another place with --out")
    return place if out.name in {"", ".."} else out


def card_text(card: Path | None) -> str:
    """The text of a card; empty without one.

    Raises:
        UsageError: it cannot be read as text.
    """
    try:
        return card.read_text(encoding="utf-8") if card else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{card}: {getattr(error, 'strerror', error)}", fix="name a UTF-8 text file") from error


def run_directory(run: Path | None, out: Path) -> Path:
    """The run directory asked for, or the one beside the bundle.

    >>> run_directory(None, Path("bundles/press")).name
    'press.run'
    """
    return run or out.with_name(out.name + ".run")
