"""`edged enroll`: on the running daemon where there is one, on the state directly else."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edged.cli.gate import DryRunOption, daemon_client, show_enrolment, shown_refusal
from edged.cli.options import ConfigOption, JsonOption, StateOption, StreamOption
from edged.cli.output import progress_bar
from edged.cli.state import open_banks, stream_name
from edged.errors import ControlError, UsageError


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("enroll")(enroll)


def enroll(
    files: Annotated[list[Path] | None, typer.Argument(help="Clips, if not given by --clips.")] = None,
    clips: Annotated[list[Path] | None, typer.Option("--clips", help="A directory of clips, or a clip.")] = None,
    stream: StreamOption = None,
    domain: Annotated[str | None, typer.Option("--domain", help="The acoustic condition these clips show.")] = None,
    source: Annotated[bool, typer.Option("--source", help="Short for --domain source.")] = False,
    keyword: Annotated[str | None, typer.Option("--keyword", help="The word that is spoken in these clips.")] = None,
    counter: Annotated[
        list[Path] | None, typer.Option("--not", help="Clips of a word it must not be taken for; may be repeated.")
    ] = None,
    average: Annotated[
        bool, typer.Option("--average", help="Hold the keyword as the average of its clips: cheaper to listen for.")
    ] = False,
    last: Annotated[
        str | None, typer.Option("--last", help="What the running daemon just heard, such as 90s, 10m or 1h.")
    ] = None,
    event: Annotated[
        list[str] | None, typer.Option("--event", help="The sound of a past event, by its id; may be repeated.")
    ] = None,
    channel: Annotated[int, typer.Option("--channel", min=0, help="Channel of multi-channel clips.")] = 0,
    dry_run: DryRunOption = False,
    force: Annotated[bool, typer.Option("--force", help="Enrol what is only doubtful, all of it.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Learn from clips: normal sound of a machine (in a domain), or a spoken word. No restart, no training.

    The first clips of a stream become its source domain. Nothing changes unless every clip can be used and none is
    doubtful: an outlier among the others, two machines in one set, far from all that is known ...

    Of a word, a clip that is unusable (silent, too short, clipped), unlike the others, cut off or drowned in noise is
    left out, named with its reason, and the word is enrolled from the others: at least three clips and 60 % of the
    set. Where fewer would remain, or the word is confusable with an enrolled one, nothing changes. --force enrols all
    that is only doubtful; --dry-run and --json show what would be left out.

    Examples:

        edged enroll --clips monday/ --stream press-3

        edged enroll --clips night-shift/ --stream press-3 --domain night

        edged enroll --clips night-shift/ --stream press-3 --domain night --dry-run

        edged enroll --last 10m --stream press-3 --domain night

        edged enroll --event EVENT_ID --event EVENT_ID --domain night

        edged enroll --clips stop/ --stream hall --keyword stop

        edged enroll --stream hall --keyword stop --not shop/ --not top/
    """
    if keyword is None and (counter or average):
        raise UsageError("--not and --average go with --keyword")
    if keyword is not None and (domain is not None or source):
        raise UsageError("--keyword and --domain/--source are different kinds of enrolment")
    if source and domain not in {None, "source"}:
        raise UsageError(f"--source and --domain {domain} contradict each other")
    paths = [*(clips or []), *(files or [])]
    n_kinds = bool(paths) + (last is not None) + bool(event)
    if n_kinds != 1 and not (n_kinds == 0 and (counter or average)):
        raise UsageError("name clips, --event, or --last with a duration", fix="edged enroll --clips DIR --stream S")
    if keyword is not None and (event or last is not None):
        raise UsageError("--keyword needs clips that hold the word and nothing else")
    if channel and not (paths or counter):
        raise UsageError("--channel goes with clips: the daemon's streams and events have but one")
    request: dict[str, Any] = {"domain": "source" if source else domain, "keyword": keyword, "channel": channel}
    request |= {"events": event or [], "dry_run": dry_run, "force": force, "average": average}
    request |= {"counters": _counters(counter or [])}
    if last is not None:
        request["last_s"] = duration_s(last)
    with shown_refusal(as_json):
        report = _enroll(paths, stream, request, config, state)
    show_enrolment(report, as_json)


def _enroll(
    paths: list[Path], stream: str | None, request: dict[str, Any], config: Path | None, state: Path | None
) -> dict[str, Any]:
    """Through the daemon if it answers, so that it takes the new bank at once; else directly on the state."""
    from edged.configfile import load_config

    settings = load_config(config, state)
    client = daemon_client(settings)
    if client is not None and (stream is not None or request["events"]):  # needs no right to the daemon's state
        return _enroll_through(client, stream, paths, request)
    with open_banks(config, state) as (settings, store):
        name = stream if request["events"] else stream_name(settings, store, stream)
        if client is not None:
            return _enroll_through(client, name, paths, request)
        if "last_s" in request:
            raise ControlError("--last needs the running daemon, and none answers", fix="start it with `edged run`")
        return _enroll_directly(settings, store, name, paths, request)


def _enroll_through(client: Any, stream: str | None, paths: list[Path], request: dict[str, Any]) -> dict[str, Any]:
    """The clips go over the socket: the daemon need not have the right to read them where they lie."""
    from edged.control.transfer import sent_files
    from edged.references.search import find_audio

    with client, ExitStack() as held:
        track = partial(held.enter_context(progress_bar()).track, description="sending")

        def sent(own: list[Path]) -> dict[str, str]:
            return {"transfer": held.enter_context(sent_files(client, find_audio(own), track))}

        arguments = request | {"stream": stream, "counters": {n: sent([p]) for n, p in request["counters"].items()}}
        arguments |= sent(paths) if paths else {}
        answer: dict[str, Any] = client.call("enroll", arguments, timeout_s=600.0)
        return answer


def _enroll_directly(
    settings: Any, store: Any, stream: str | None, paths: list[Path], request: dict[str, Any]
) -> dict[str, Any]:
    from edged.assembly import Assembly
    from edged.references.enroll import Terms, enroll_events, enroll_paths

    terms = Terms(request["dry_run"], request["force"])
    with progress_bar() as bar:

        def read(items: Iterable[Any]) -> Iterable[Any]:
            return bar.track(items, description="reading")

        def track(items: Iterable[Any]) -> Iterable[Any]:
            return bar.track(items, description="enrolling")

        if request["events"]:
            events, domain = request["events"], request["domain"]
            return enroll_events(Assembly(settings), store, stream, events, domain=domain, terms=terms, track=track)
        from edged.references.search import find_audio

        chosen = {name: request[name] for name in ("domain", "keyword", "average", "channel")}
        chosen["counters"] = {name: find_audio([path]) for name, path in request["counters"].items()}
        return enroll_paths(
            Assembly(settings), store, str(stream), paths, **chosen, terms=terms, track_reading=read, track=track
        )


def _counters(paths: list[Path]) -> dict[str, Path]:
    from edged.references.keyword_enroll import counter_names

    return counter_names(paths)


def duration_s(text: str) -> float:
    """Seconds of a duration such as ``90s``, ``10m``, ``1.5h``; a bare number is seconds.

    Raises:
        UsageError: it is none.

    >>> duration_s("10m"), duration_s("90")
    (600.0, 90.0)
    """
    unit_s = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:], 0.0)
    try:
        value = float(text[:-1]) * unit_s if unit_s else float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value < math.inf:
        raise UsageError(f"--last: '{text}' is no duration", fix="write 90s, 10m or 1h")
    return value
