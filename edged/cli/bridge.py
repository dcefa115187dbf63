"""`edged bridge`: events to other people's systems."""

from __future__ import annotations

import typer

from edged.cli.options import ConfigOption, StateOption


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    group = typer.Typer(help="Pass events on to other systems.", no_args_is_help=True)
    group.command("mqtt")(mqtt)
    group.callback()(_root)
    app.add_typer(group, name="bridge")


def _root() -> None:
    """Pass events on to other systems."""


def mqtt(config: ConfigOption = None, state: StateOption = None) -> None:
    """Send events to the MQTT broker named in the section `mqtt`, until SIGTERM or Ctrl-C.

    Every anomaly, keyword and status event at QoS 1, in order, at least once: what the broker has not acknowledged is
    taken from the daemon's journal again, be it after days. Home Assistant finds streams and words by itself.

    Example: edged bridge mqtt --config /etc/edged/edged.yaml
    """
    from edged.bridge.run import run
    from edged.configfile import load_config
    from edged.observe.logs import set_up_logging

    set_up_logging()
    raise typer.Exit(run(load_config(config, state)))
