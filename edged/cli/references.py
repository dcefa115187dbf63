"""`edged references`: what is enrolled; through the running daemon where that helps, on the state directly else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edged.cli import archive
from edged.cli.gate import daemon_client
from edged.cli.options import ConfigOption, JsonOption, StateOption, StreamOption
from edged.cli.output import print_json, print_table
from edged.cli.state import open_banks, stream_name
from edged.errors import StateError, UsageError

MonitorOption = Annotated[str, typer.Option("--monitor", help="`anomaly` or `keyword`")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    references = typer.Typer()
    references.callback(invoke_without_command=True)(references_group)
    references.command("show")(references_show)
    references.command("rollback")(references_rollback)
    references.command("remove")(references_remove)
    references.command("refit")(references_refit)
    archive.register(references)
    app.add_typer(references, name="references")


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

    with open_banks(config, state) as (settings, store):
        shown = overview(store, stream_name(settings, store, stream))
    if as_json:
        print_json(shown)
        return
    for monitor, facts in shown["monitors"].items():
        labels = ", ".join(f"{label}: {count} clips" for label, count in facts["labels"].items())
        holds = f"{labels}; bundle {facts['bundle']}" if labels else "nothing is enrolled now"
        print(f"{shown['stream']} / {monitor}: version {facts['version']}; {holds}")
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
    with open_banks(config, state) as (settings, store):
        name = stream_name(settings, store, stream)
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
    with open_banks(config, state) as (settings, store):
        name = stream_name(settings, store, stream)
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
    with open_banks(config, state) as (settings, store):
        name = stream_name(settings, store, stream)
        if client is not None:
            return _refit_through(client, name)
        return dict(vars(refit_stream(Assembly(settings), store, name)))


def _refit_through(client: Any, stream: str) -> dict[str, Any]:
    with client:
        answer: dict[str, Any] = client.call("references.refit", {"stream": stream}, timeout_s=600.0)
        return answer


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
