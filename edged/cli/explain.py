"""`edged explain`: why a sound has the score it has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edged.cli.options import ConfigOption, JsonOption, StateOption, StreamOption
from edged.cli.output import note, print_json, progress_bar
from edged.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command("explain")(explain)


def explain(
    event_id: Annotated[str | None, typer.Argument(help="The id of an anomaly event, as `edged events` shows.")] = None,
    clips: Annotated[Path | None, typer.Option("--clips", help="A recording to explain instead.")] = None,
    stream: StreamOption = None,
    png: Annotated[
        Path | None, typer.Option("--png", help="Where to draw the picture; default explain-NAME.png, here.")
    ] = None,
    no_png: Annotated[bool, typer.Option("--no-png", help="Draw no picture.")] = False,
    runs: Annotated[
        int, typer.Option("--runs", min=200, max=100_000, help="How often the model runs; more sharpen the map.")
    ] = 400,
    channel: Annotated[int, typer.Option("--channel", min=0, help="Channel of a multi-channel recording.")] = 0,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Say which reference a sound is most like, and which bands and times raise its anomaly score.

    An event is explained by the sound that was saved with it and the references that decided; a recording by the
    references in use, at its strangest segment. Needs no daemon.

    Examples:

        edged explain 5f2c1a90be77-42

        edged explain --clips odd.wav --stream press-3 --json --png odd.png
    """
    if (event_id is None) == (clips is None):
        raise UsageError("name an event, or a recording with --clips", fix="edged explain EVENT_ID")
    if png is not None and not png.parent.is_dir():
        raise UsageError(f"{png.parent}: no such directory", fix="name another place with --png")
    from edged.explain.case import case_of_event, case_of_file
    from edged.references.store import open_store

    with open_store(config, state) as (settings, store):
        if event_id is not None:
            case = case_of_event(settings, store, event_id)
        else:
            case = case_of_file(settings, store, _stream(settings, store, stream), clips or Path(), channel)
    for line in case.notes:
        note(f"edged: {line}")
    with progress_bar() as bar:
        found = case.explained(runs, lambda items: bar.track(items, description="explaining"))
    path = None if no_png else png or Path(f"explain-{case.name}.png")
    if path is not None:
        _draw(found, case.title, path)
    _print(case.facts(found) | {"png": str(path) if path else None}, as_json)


def _stream(settings: Any, store: Any, stream: str | None) -> str:
    from edged.assembly import chosen_stream

    return chosen_stream(settings, store, stream)


def _draw(found: Any, title: str, path: Path) -> None:
    """Draw beside the place and rename: a picture that was there before stays whole until the new one is."""
    from edged.explain.picture import png
    from edged.files import write_durably

    picture = png(found, title)
    # such as /dev/stdout, which nothing may be renamed onto: it is a link, to a file where output is redirected
    is_special = path.is_symlink() or (path.exists() and not path.is_file())
    try:
        path.write_bytes(picture) if is_special else write_durably(path, picture, mode=0o644)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", fix="name another place with --png") from error


def _print(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    nearest = facts["nearest"]
    print(f"score {facts['score']:.2f}, threshold {facts['threshold']:.2f}")
    print(f"most like {nearest['clip']} ({nearest['domain']}, enrolled {nearest['enrolled_at']})")
    print("parts: " + ", ".join(f"{name} {value:+.2f}" for name, value in facts["parts"].items()))
    for band in facts["bands"]:
        print(f"band {band['from_hz']:.0f} to {band['to_hz']:.0f} Hz: {band['adds']:+.2f}")
    for time in facts["times"]:
        print(f"time {time['from_s']:.1f} to {time['to_s']:.1f} s: {time['adds']:+.2f}")
    if facts["png"]:
        print(f"picture: {facts['png']}")
