"""`edged reload`, `restart`: orders to the running daemon."""

from __future__ import annotations

import typer

from edged.cli.options import ConfigOption, JsonOption, StateOption
from edged.cli.output import note, print_json


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("reload")(reload)
    app.command("restart")(restart)


def reload(as_json: JsonOption = False, config: ConfigOption = None, state: StateOption = None) -> None:
    """Let the running daemon take over changed references, thresholds and keys, with no gap in what it hears.

    A daemon in safe mode tries again, with all of its configuration as it is now.

    Example: edged reload
    """
    from edged.configfile import load_config
    from edged.control.client import ControlClient

    with ControlClient(load_config(config, state).control_endpoint, 60.0) as client:
        answer = client.call("reload", {})
    if as_json:
        print_json(answer)
    else:
        print(f"changed: {', '.join(answer['changed']) or 'nothing'}")
        if waiting := answer.get("needs_restart"):
            note(f"edged: in force after `edged restart` only: {', '.join(waiting)}")


def restart(config: ConfigOption = None, state: StateOption = None) -> None:
    """Let the running daemon begin anew with all of its configuration as it is now, in the same process.

    It listens to nothing for some seconds. A daemon in safe mode tries again.

    Example: edged restart
    """
    from edged.configfile import load_config
    from edged.control.client import ControlClient

    with ControlClient(load_config(config, state).control_endpoint) as client:
        client.call("restart", {})
    print("it begins anew; see: edged status")
