"""`edged-train plant`: a synthetic data set in the layout of DCASE Task 2."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def plant(
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder of the tree.")],
    machines: Annotated[int, typer.Option(min=1, max=400, help="Machine types.")] = 7,
    sections: Annotated[int, typer.Option(min=1, max=100, help="Machines of each type.")] = 1,
    clips: Annotated[int, typer.Option(min=1, max=10_000, help="Normal training clips of each section.")] = 1000,
    test: Annotated[
        int, typer.Option(min=0, max=40_000, help="Test clips of each section, a quarter of each domain and condition.")
    ] = 200,
    points: Annotated[int, typer.Option(min=1, max=50, help="Operating points in each domain (attributes).")] = 3,
    target_share: Annotated[
        float, typer.Option(min=0.0, max=0.5, help="Share of training clips from the target domain.")
    ] = 0.01,
    duration_s: Annotated[float, typer.Option("--duration-s", min=0.5, max=600.0, help="Of every clip.")] = 10.0,
    flac: Annotated[bool, typer.Option("--flac", help="FLAC instead of WAV.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of everything.")] = 0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = min(2, os.cpu_count() or 1),
) -> None:
    """Make a plant: machines of several kinds at several operating points in two domains, healthy and with faults.

    Goes on where it was stopped, when called again with the same values. `edged-train anomaly --data` reads it.

    Example: `edged-train plant --out plant --machines 4 --clips 100 --test 40`
    """
    from rich.console import Console
    from rich.progress import Progress

    from edged.errors import UsageError
    from trainer.data.plant_tree import PlantTree, start_tree
    from trainer.data.plant_workers import write_clips

    if test % 4:
        raise UsageError(f"--test {test}: not as many of each domain and condition", fix="give a multiple of four")
    tree = PlantTree(
        machines, sections, clips, test, points, target_share, duration_s, seed, ".flac" if flac else ".wav"
    )
    missing = start_tree(out, tree)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("plant", total=len(missing))
        for n_written in write_clips(out, tree, missing, workers):
            progress.advance(task, n_written)
    typer.echo(f"{out}: {len(missing)} clips written", err=True)
