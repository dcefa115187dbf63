"""`edged-train precision`: the same network in fewer bits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def precision(
    bundle: Annotated[Path, typer.Argument(help="Directory of the bundle; it is extended in place.")],
    int8: Annotated[
        Path | None,
        typer.Option("--int8", help="Clips like those that will be enrolled: adds INT8, calibrated on them."),
    ] = None,
) -> None:
    """Add an FP16 network to a bundle (and an INT8 one), if it decides as the FP32 one does.

    TensorRT 11 builds FP16 and INT8 engines only of such networks; the bundles that ship have FP16.

    Examples:
        edged-train precision press-bundle

        edged-train precision press-bundle --int8 recordings/normal
    """
    from trainer.data.clips import read_recording
    from trainer.data.dcase import SUFFIXES
    from trainer.data.file_tree import files_below
    from trainer.export import add_precision

    extended = add_precision(bundle, "fp16")
    if int8 is not None:
        files = [path for path in files_below(int8) if path.suffix.lower() in SUFFIXES]
        extended = add_precision(bundle, "int8", (read_recording(path) for path in files))
    typer.echo(f"{extended.directory}: {extended.label}, {', '.join(sorted(extended.manifest.files))}", err=True)
