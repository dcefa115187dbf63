"""`edged enroll` and `edged references`: on the running daemon where there is one, on the state directly else."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edged.cli import archive
from edged.cli.gate import DryRunOption, daemon_client, show_enrolment, shown_refusal
from edged.cli.options import ConfigOption, JsonOption, StateOption, StreamOption
from edged.cli.output import print_json, print_table, progress_bar
from edged.errors import ControlError, StateError, UsageError

MonitorOption = Annotated[str, typer.Option("--monitor", help="`anomaly` or `keyword`")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("enroll")(enroll)
    references = typer.Typer()
    references.callback(invoke_without_command=True)(references_group)
    references.command("show")(references_show)
    references.command("rollback")(references_rollback)
    references.command("remove")(references_remove)
    references.command("refit")(references_refit)
    archive.register(references)
    app.add_typer(references, name="references")


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


def references_group(
    context: typer.Context,
    stream: StreamOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Show (the default), roll back, remove or fit again what is enrolled on a stream.

    Examples:

        edged references --stream press-3

        edged references --stream press-3 rollback
    """
    if context.invoked_subcommand is None:
        references_show(stream, as_json, config, state)
        return
    given = {"stream": stream, "as_json": as_json or None, "config": config, "state": state}
    known = {name: value for name, value in given.items() if value is not None}
    context.default_map = dict.fromkeys(("show", "rollback", "remove", "refit", "export", "import", "signer"), known)


def references_show(
    stream: StreamOption = None, as_json: JsonOption = False, config: ConfigOption = None, state: StateOption = None
) -> None:
    """Show what is enrolled on a stream: domains or keywords, clips, versions, labelled anomalies.

    Example: edged references show --stream press-3
    """
    from edged.references.overview import overview

    with _store(config, state) as (settings, store):
        shown = overview(store, _stream_name(settings, store, stream))
    if as_json:
        print_json(shown)
        return
    for monitor, facts in shown["monitors"].items():
        labels = ", ".join(f"{label}: {count} clips" for label, count in facts["labels"].items())
        print(f"{shown['stream']} / {monitor}: version {facts['version']}; {labels}; bundle {facts['bundle']}")
        rows = [(v["version"], v["created_at"], v["reason"], "*" if v["active"] else "") for v in facts["versions"]]
        print_table("", ("version", "created", "what", "active"), rows)
        for one in facts["counters"]:
            print(f"'{one['word']}' is not reported where '{one['name']}' is nearer ({one['clips']} clips)")
        if facts["averaged"]:
            print(f"held as the average of its clips: {', '.join(facts['averaged'])}")
        for one in facts["anomalies"]:
            apart = "" if one["is_respected"] else ", cannot be told from normal sound"
            print(f"anomaly labelled at event {one['event_id']} ({one['labelled_at']}{apart})")


def references_rollback(
    stream: StreamOption = None,
    monitor: MonitorOption = "anomaly",
    version: Annotated[int | None, typer.Option("--version", help="Default: the one before the active one.")] = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Go back to an earlier version of a bank.

    Example: edged references rollback --stream press-3
    """
    _check_monitor(monitor)
    with _store(config, state) as (settings, store):
        name = _stream_name(settings, store, stream)
        active = store.rollback(name, monitor, version)
    _tell_daemon(settings)
    print(f"{name} / {monitor}: version {active} is active")


def references_remove(
    stream: StreamOption = None,
    monitor: MonitorOption = "anomaly",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Forget what is enrolled (a roll-back brings it back).

    Example: edged references remove --stream hall --monitor keyword
    """
    _check_monitor(monitor)
    with _store(config, state) as (settings, store):
        name = _stream_name(settings, store, stream)
        if not store.versions(name, monitor):
            known = ", ".join(f"{s} / {m}" for s, m in store.streams()) or "nothing at all"
            raise StateError(f"{name} / {monitor}: nothing was ever enrolled", fix=f"enrolled are: {known}")
        store.remove(name, monitor)
    _tell_daemon(settings)
    print(f"{name} / {monitor}: nothing is enrolled now")


def references_refit(
    stream: StreamOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Fit anomaly references again by the `scoring` the configuration names; the clips themselves are not needed.

    The result is a new version, which a roll-back takes away again. A running daemon uses its own configuration.

    Example: edged references refit --stream press-3
    """
    report = _refit(stream, config, state)
    if as_json:
        print_json(report)
        return
    done = "is active" if report["changed"] else "stays active: fitting again changes nothing"
    print(
        f"{report['stream']} / {report['monitor']}: version {report['version']} {done}; "
        f"scoring {report['scoring']}, threshold {report['threshold']:.2f}"
    )


def _refit(stream: str | None, config: Path | None, state: Path | None) -> dict[str, Any]:
    """Through the daemon if it answers, else directly on the state."""
    from edged.assembly import Assembly
    from edged.configfile import load_config
    from edged.references.refit import refit_stream

    client = daemon_client(load_config(config, state))
    if client is not None and stream is not None:  # needs no right to the daemon's state
        return _refit_through(client, stream)
    with _store(config, state) as (settings, store):
        name = _stream_name(settings, store, stream)
        if client is not None:
            return _refit_through(client, name)
        return dict(vars(refit_stream(Assembly(settings), store, name)))


def _refit_through(client: Any, stream: str) -> dict[str, Any]:
    with client:
        answer: dict[str, Any] = client.call("references.refit", {"stream": stream}, timeout_s=600.0)
        return answer


def _enroll(
    paths: list[Path], stream: str | None, request: dict[str, Any], config: Path | None, state: Path | None
) -> dict[str, Any]:
    """Through the daemon if it answers, so that it takes the new bank at once; else directly on the state."""
    from edged.configfile import load_config

    settings = load_config(config, state)
    client = daemon_client(settings)
    if client is not None and (stream is not None or request["events"]):  # needs no right to the daemon's state
        return _enroll_through(client, stream, paths, request)
    with _store(config, state) as (settings, store):
        name = stream if request["events"] else _stream_name(settings, store, stream)
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


def _store(config: Path | None, state: Path | None) -> Any:
    from edged.references.store import open_store

    return open_store(config, state)


def _stream_name(settings: Any, store: Any, stream: str | None) -> str:
    from edged.assembly import chosen_stream

    return chosen_stream(settings, store, stream)


def _tell_daemon(settings: Any) -> None:
    """A running daemon takes the new version at its next segment."""
    client = daemon_client(settings)
    if client is not None:
        with client:
            client.call("reload", {})


def _check_monitor(monitor: str) -> None:
    from edged.assembly import MONITOR_NAMES

    if monitor not in MONITOR_NAMES:
        raise UsageError(f"--monitor: '{monitor}' is neither of {', '.join(MONITOR_NAMES)}")
