"""`edged run` and `edged demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edged.cli.options import ConfigOption, JsonOption, StateOption


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("run")(run)
    app.command("demo")(demo)


def run(config: ConfigOption = None, state: StateOption = None) -> None:
    """Run the daemon in the foreground (systemd: Type=notify). SIGTERM and Ctrl-C stop it with nothing lost.

    SIGHUP (`edged reload`) takes over banks and the thresholds of a changed configuration: threshold, threshold_method,
    false_alarms_per_day, false_alarm_confidence; of keywords threshold, thresholds, false_alarms_per_hour and its
    confidence. Whatever else has changed needs a restart.

    Example: edged run --config /etc/edged/edged.yaml
    """
    from functools import partial

    from edged.configfile import load_config
    from edged.daemon import run as run_daemon

    reread = partial(load_config, config, state)
    raise typer.Exit(run_daemon(reread(), reread))


def demo(
    speed: Annotated[float, typer.Option("--speed", min=1.0, max=200.0, help="Times real time")] = 20.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another plant, another day")] = 0,
    keep: Annotated[Path | None, typer.Option("--keep", help="Keep audio, state and log in this directory")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines even on a terminal")] = False,
    as_json: JsonOption = False,
) -> None:
    """See the whole system at work on this computer in a minute: no microphone needed.

    A small plant is made up on the spot and heard by the real daemon: normal sound, a fault, a change of the acoustic
    domain with its false alarms, enrolment of the new domain while the daemon runs, and a spoken word learned from
    three clips. Exits with 1 if anything it announces did not happen.
    """
    from edged.demo.run import run_demo

    raise typer.Exit(run_demo(speed=speed, seed=seed, keep=keep, plain=plain, as_json=as_json))
