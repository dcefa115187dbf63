"""`edged score`: the daemon's own pipeline on files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from edged.cli.options import ConfigOption, JsonlOption, StateOption, StreamOption
from edged.cli.output import note, print_line, progress_bar
from edged.errors import AudioError, UsageError


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command("score")(score)


def score(
    files: Annotated[list[Path], typer.Argument(help="WAV or FLAC files, or directories of them.")],
    stream: StreamOption = None,
    events: Annotated[
        bool, typer.Option("--events", help="The events the daemon would publish (the default).")
    ] = False,
    scores: Annotated[bool, typer.Option("--scores", help="The anomaly score of every segment.")] = False,
    clip: Annotated[
        bool, typer.Option("--clip", help="One anomaly score per file: the mean over its segments of sound input.")
    ] = False,
    all_matches: Annotated[
        bool, typer.Option("--all-matches", help="Every keyword candidate below a loose distance.")
    ] = False,
    channel: Annotated[
        int | None,
        typer.Option("--channel", min=0, help="Channel of multi-channel files; the configured one by default."),
    ] = None,
    jsonl: JsonlOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Score files offline with what is enrolled on a stream; gives the daemon's events for the same samples.

    Example: edged score --stream press-3 --clip --jsonl monday/*.wav
    """
    if events + scores + clip > 1:
        raise UsageError("choose one of --events, --scores, --clip")
    from edged.references.search import printable_name

    mode = "clip" if clip else "scores" if scores else "events"
    failed = n_found = 0
    for fields in _score_files(files, stream, mode, all_matches, channel, config, state):
        if "error" in fields:
            failed += 1
            note(f"edged: {printable_name(fields['error'])}")
            continue
        n_found += 1
        fields["file"] = printable_name(fields["file"])
        if jsonl:
            if mode == "clip":
                fields.pop("threshold")  # the line for programs is file and score
            print_line(fields)
        else:
            print(" ".join(f"{key}={_short(value)}" for key, value in fields.items()), flush=True)
    if failed:
        raise typer.Exit(1)
    if not n_found and mode == "events":
        note("edged: no events")


def _score_files(
    files: list[Path],
    stream: str | None,
    mode: str,
    all_matches: bool,
    channel: int | None,
    config: Path | None,
    state: Path | None,
) -> Iterator[dict[str, Any]]:
    from edged.assembly import Assembly, chosen_stream
    from edged.configfile import load_config
    from edged.references.clips import find_audio
    from edged.references.search import printable_name
    from edged.references.store import BankStore

    settings = load_config(config, state)
    assembly = Assembly(settings)
    with BankStore(settings.state_path) as store, progress_bar() as bar:
        name = chosen_stream(settings, store, stream)
        for path in bar.track(find_audio(files), description="scoring"):
            monitors = assembly.enrolled_monitors(store, name, all_matches=all_matches)
            wanted = [m for m in monitors if mode == "events" or m.name == "anomaly"]
            if not wanted:
                raise UsageError(f"stream '{name}' has no enrolled anomaly monitor", fix="use --events")
            remarks: dict[str, None] = {}
            try:
                for monitor in wanted:
                    yield from _judged(path, monitor, assembly, store, mode, channel, remarks)
            except AudioError as error:
                yield {"error": str(error)}
            for remark in remarks:
                note(f"edged: {printable_name(str(path))}: {remark}")


def _judged(
    path: Path, monitor: Any, assembly: Any, store: Any, mode: str, channel: int | None, remarks: dict[str, None]
) -> list[dict[str, Any]]:
    """What is to be printed of a file and a monitor; what else should be known of the file goes into `remarks`."""
    from edged.capture.files import channel_count
    from edged.offline import clip_fields, event_fields, judge_file, left_out, score_fields

    n_channels = channel_count(path)
    if channel is None:
        configured = assembly.config.streams.get(monitor.stream)
        channel = configured.channel if configured and configured.channel < n_channels else 0
    reference = assembly.reference_monitor(store, monitor.stream) if monitor.name == "anomaly" else None
    if reference and (reference[1] >= n_channels or reference[1] == channel):
        remarks[f"has no channel {reference[1]} beside channel {channel}: nothing is discounted"] = None
        reference = None
    judgement = judge_file(path, monitor, assembly, channel=channel, reference=reference)
    if mode == "clip":
        found = [clip_fields(path, judgement)]
    elif mode == "scores":
        found = [score_fields(path, scored) for scored in judgement.scored]
    else:
        found = [event_fields(path, judgement.monitor, detection) for detection in judgement.detections]
    remarks |= dict.fromkeys(left_out(judgement))
    return found


def _short(value: object) -> object:
    return f"{value:.3f}" if isinstance(value, float) else value
