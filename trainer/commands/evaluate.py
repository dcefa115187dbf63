"""`edged-train evaluate`: how well a bundle tells broken machines from sound ones, as one page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    *,
    bundle: Annotated[Path, typer.Option("--bundle", help="Directory of the anomaly bundle to judge.")],
    data: Annotated[
        Path, typer.Option("--data", help="Recordings: a tree in a DCASE or MIMII layout, or a CSV table of files.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The page to write.")] = Path("report.html"),
    scores: Annotated[
        Path | None, typer.Option("--scores", help="Folder for the scores of every section, as DCASE takes them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object on stdout.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the intervals and the map.")] = 0,
) -> None:
    """Enrol each section's normal training clips, score its test clips, and write one page of figures.

    The page needs no network: tables with intervals, curves, thresholds, a map of the embeddings, the worst errors.
    Without normal test clips (MIMII) the training clips are judged in folds. Without labels (DCASE evaluation sets)
    the clips are scored and listed.

    Examples:
        edged-train evaluate --bundle press-bundle --data recordings/ --out press.html

        edged-train evaluate --bundle press-bundle --data eval_data/ --scores submission/ --json > figures.json
    """
    from trainer.report.evaluate import evaluate_bundle

    found = evaluate_bundle(bundle, data, out, scores=scores, seed=seed, progress=True)
    if as_json:
        typer.echo(json.dumps(found.fields, indent=2, allow_nan=False))
    for path in found.files:
        typer.echo(str(path), err=True)
