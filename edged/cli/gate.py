"""How the gate's report is shown, whether the clips passed or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from edged.cli.output import note, print_json, print_table
from edged.errors import EnrolmentError

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would happen and change nothing.")]


def daemon_client(settings: Any) -> Any:
    """A client of the running daemon, if one answers; a note if one runs and does not (busy, or it asks for keys)."""
    from edged.control.client import running_daemon
    from edged.runtime.lock import daemon_holds

    client = running_daemon(settings.control_endpoint)
    if client is None and daemon_holds(settings.state_path):
        note("edged: a daemon runs on this state but does not answer: `systemctl reload edged` makes it take this")
    return client


@contextmanager
def shown_refusal(as_json: bool) -> Iterator[None]:
    """A refusal that comes with a report is shown like one that passed, and goes on as the error it is."""
    try:
        yield
    except EnrolmentError as error:
        if error.report:
            _print(error.report, as_json)
        raise


def show_enrolment(report: Mapping[str, Any], as_json: bool) -> None:
    """Print a report; a dry run that would be refused ends with 1.

    Raises:
        typer.Exit: with 1.
    """
    _print(report, as_json)
    if report["accepted"]:
        return
    if not as_json:
        refused = () if report.get("left_out") else report["refused"]
        for line in (*report["doubts"], *(f"{clip['name']}: {clip['reason']}" for clip in refused)):
            note(f"  {line}")
    raise typer.Exit(1)


def _print(report: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    _print_clips(report)
    for line in report["notes"]:
        note(line)
    for line in figures(report):
        print(line)
    print(_conclusion(report))


def _print_clips(report: Mapping[str, Any]) -> None:
    rows = [
        (clip["name"], "" if clip["score"] is None else f"{clip['score']:.2f}", clip["verdict"], clip["reason"])
        for clip in report["clips"]
    ]
    if rows:
        print_table("", ("clip", "score without it", "verdict", "why"), rows)


def figures(report: Mapping[str, Any]) -> list[str]:
    """The gate's figures in words, as far as there are any."""
    lines = []
    if over := report.get("overlap"):
        lines.append(
            f"overlap: {over['share_below']:.0%} of the clips were normal already; nearest to '{over['nearest']}', "
            f"at {over['distance']:.1f} times its threshold"
        )
    if (factor := report.get("strength_factor")) is not None:
        lines.append(f"old sound: a fault must be {factor:.2f} times as strong as before to be noticed")
    if report.get("threshold") is not None:
        before = report.get("threshold_before")
        lines.append(f"threshold: {report['threshold']:.2f}" + ("" if before is None else f" (before: {before:.2f})"))
    if alarms := report.get("false_alarms"):
        lines.append(f"false alarms to be expected: {rate_text(alarms)}")
    return lines


def rate_text(alarms: Mapping[str, Any]) -> str:
    """A rate with its band and what it rests on."""
    if alarms["per_day"] is None and not alarms["heard_h"]:
        return "unknown, nothing was heard yet"
    high = "?" if alarms["high_per_day"] is None else f"{alarms['high_per_day']:.3g}"
    low = 0.0 if alarms["low_per_day"] is None else alarms["low_per_day"]
    minutes = 60.0 * alarms["heard_h"]
    heard = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    if alarms["per_day"] is None:
        return f"up to {high} a day (90 %): {heard} say too little, ten clips say more; {alarms['rests_on']}"
    return f"{alarms['per_day']:.3g} a day ({low:.2g} to {high}, 90 %), from {heard}: {alarms['rests_on']}"


def _conclusion(report: Mapping[str, Any]) -> str:
    head = f"{report['stream']} / {report['monitor']}: "
    threshold = f", threshold {report['threshold']:.2f}" if report.get("threshold") is not None else ""
    n_left_out = len(report.get("left_out", ()))
    total = f"{report['total_clips']} in all{f', {n_left_out} left out' if n_left_out else ''}"
    what = f"{report['added_clips']} clips {{}} as '{report['label']}' ({total})"
    if not report["accepted"]:
        return head + "nothing enrolled" + (" (dry run)" if report["dry_run"] else "")
    if report["dry_run"]:
        return head + what.format("would be added") + threshold + " (dry run, nothing changed)"
    return head + what.format("added") + f", version {report['version']}{threshold}"
