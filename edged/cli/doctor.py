"""`edged doctor`: the whole installation, and the fix for each finding."""

from __future__ import annotations

import typer

from edged.cli.options import ConfigOption, JsonOption, StateOption
from edged.cli.output import print_json


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("doctor")(doctor)


def doctor(as_json: JsonOption = False, config: ConfigOption = None, state: StateOption = None) -> None:
    """Look over the whole installation and name the fix for each finding; exit code 1 when something is wrong.

    Nothing is changed. With sudo it sees what only root may.

    Example: sudo edged doctor
    """
    from dataclasses import asdict

    from edged.doctor.run import examine

    found = examine(config, state)
    n_wrong = sum(finding.level == "wrong" for finding in found)
    if as_json:
        print_json({"ok": n_wrong == 0, "findings": [asdict(finding) for finding in found]})
    else:
        for finding in found:
            print(f"{finding.level:6s} {finding.check}: {finding.text}")
            if finding.fix:
                print(f"       -> {finding.fix}")
        print(f"{n_wrong} wrong" if n_wrong else "all is well")
    raise typer.Exit(int(n_wrong > 0))
