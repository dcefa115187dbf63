"""`edged-train explain`: which sounds of a clip make its anomaly score."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from edged.flow import Float32Array
    from trainer.explain.bundle_scorer import FittedBundle
    from trainer.explain.explanation import Explanation

SETTLED = 0.8
"""Reliability below which a map is said to need more masks."""


def explain(
    clips: Annotated[list[Path], typer.Argument(help="Recordings to explain: files, or directories of them.")],
    *,
    bundle: Annotated[Path, typer.Option("--bundle", help="Directory of the bundle that scores them.")],
    normal: Annotated[Path, typer.Option("--normal", help="Normal recordings of the same machine, at least two.")],
    out: Annotated[Path, typer.Option("--out", help="Directory for a picture, arrays and a summary of every clip.")],
    masks: Annotated[int, typer.Option("--masks", min=1, max=1_000_000, help="For each map; more is sharper.")] = 4000,
    keep: Annotated[
        float,
        typer.Option("--keep", min=0.01, max=0.99, help="How much masks keep: high for steady sounds, low for short."),
    ] = 0.25,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of masks and orders.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summaries on stdout as JSON.")] = False,
) -> None:
    """Show which sounds of a clip make its anomaly score: when, and at which frequencies.

    Explains the segment with the highest score, by a map over time and frequency of what the network hears, and band by
    band for the whole score. Ctrl-C keeps the map so far.

    Examples:
        edged-train explain alarm.wav --bundle press-bundle --normal press/normal --out why

        edged-train explain monday/ --bundle press-bundle --normal press/normal --out why --masks 20000 --json
    """
    from edged.embed.bundle import load_bundle
    from edged.errors import AudioError
    from edged.references.clips import find_audio
    from trainer.explain.bundle_scorer import fit_bundle
    from trainer.explain.files import make_directory, output_names

    paths = find_audio(clips)
    make_directory(out)
    fitted = fit_bundle(load_bundle(bundle), _normal_clips(normal))
    summaries: list[dict[str, Any]] = []
    try:
        for path, name in zip(paths, output_names(paths), strict=True):
            try:
                summaries.append(_explained(fitted, path, out, name, n_masks=masks, keep=keep, seed=seed))
            except AudioError as error:  # the others can still be explained
                typer.echo(f"edged-train: {error}", err=True)
                continue
            typer.echo(_line(summaries[-1]), err=True)
            if summaries[-1]["map"] and summaries[-1]["map"]["was_interrupted"]:
                raise KeyboardInterrupt
    finally:
        if as_json:
            typer.echo(json.dumps(summaries, indent=2))
    if len(summaries) < len(paths):
        raise typer.Exit(1)


def _normal_clips(directory: Path) -> Iterator[Float32Array]:
    """Normal clips one after another, each recording once."""
    from edged.references.clips import ANOMALY_CLIPS, find_audio, read_clips

    seen: set[str] = set()
    for path in _track(find_audio([directory]), "listening to normal clips"):
        (clip,), _ = read_clips([path], ANOMALY_CLIPS)
        if clip.sha256 not in seen:
            seen.add(clip.sha256)
            yield clip.samples


def _explained(
    fitted: FittedBundle, path: Path, out: Path, name: str, *, n_masks: int, keep: float, seed: int
) -> dict[str, Any]:
    from edged.capture.files import read_clip
    from edged.errors import AudioError
    from edged.references.clips import ANOMALY_CLIPS
    from trainer.data.check_files import SILENT_DBFS
    from trainer.data.clips import rms
    from trainer.explain.explanation import explain_clip
    from trainer.explain.files import printable, write_explanation

    samples = read_clip(path, max_s=ANOMALY_CLIPS.max_s)
    if rms(samples) < 10.0 ** (SILENT_DBFS / 20.0):
        raise AudioError(f"{path}: without sound; there is nothing to explain", fix="record it again")
    with _bar() as bar:
        task = bar.add_task(f"explaining {printable(Path(path.name))}", total=n_masks)
        explanation: Explanation = explain_clip(
            fitted, samples, n_masks=n_masks, keep=keep, seed=seed, progress=lambda n: bar.advance(task, n)
        )
    return write_explanation(out, name, path, explanation)


def _line(facts: dict[str, Any]) -> str:
    """A summary as one line for people."""
    band, place = facts["band"], facts["map"]
    text = (
        f"{facts['clip']}: anomaly score {facts['score']:.2f} (alarm above {facts['threshold']:.2f}), "
        f"most by {band['from_hz']:.0f} to {band['to_hz']:.0f} Hz"
    )
    if place:
        text += f"; the network by {place['hz']:.0f} Hz at {place['time_s']:.1f} s ({place['masks']} masks)"
        if (place["reliability"] or 0.0) < SETTLED:
            text += "; the map is not settled, take more masks"
    return f"{text}: {facts['picture']}"


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def _track(paths: list[Path], what: str) -> Iterator[Path]:
    with _bar() as bar:
        yield from bar.track(paths, description=what)
