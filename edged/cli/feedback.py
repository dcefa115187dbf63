"""`edged feedback`: what an operator says of an event, on the running daemon where there is one, on the state else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from edged.cli.gate import DryRunOption, daemon_client, rate_text, show_enrolment, shown_refusal
from edged.cli.options import ConfigOption, JsonOption, StateOption
from edged.cli.output import note, print_json
from edged.errors import UsageError

VERDICTS = ("normal", "anomaly")


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("feedback")(feedback)


def feedback(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="As `edged events --jsonl` has it.")],
    verdict: Annotated[str, typer.Argument(metavar="normal|anomaly", help="What the sound was.")],
    domain: Annotated[
        str | None, typer.Option("--domain", help="normal: the domain it joins; default `target`.")
    ] = None,
    dry_run: DryRunOption = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="normal: even if doubtful; anomaly: lower the threshold whatever normal sound does."
        ),
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Say whether an event was normal sound or an anomaly indeed; undone by `edged references rollback`.

    normal: its sound is enrolled, through the same gate as any clip. anomaly: it is kept as an example that the
    threshold stays below and that enrolment refuses to make normal.

    Examples:

        edged feedback EVENT_ID normal --domain night

        edged feedback EVENT_ID anomaly --dry-run
    """
    if verdict not in VERDICTS:
        raise UsageError(f"'{verdict}' is neither of {', '.join(VERDICTS)}")
    if verdict == "anomaly" and domain is not None:
        raise UsageError("--domain goes with `normal`: an anomaly belongs to none")
    request = {"event": event_id, "verdict": verdict, "domain": domain, "dry_run": dry_run, "force": force}
    with shown_refusal(as_json):
        report = _given(request, config, state)
    if verdict == "normal":
        show_enrolment(report, as_json)
    elif as_json:
        print_json(report)
    else:
        _print_label(report)


def _given(request: dict[str, Any], config: ConfigOption, state: StateOption) -> dict[str, Any]:
    from edged.assembly import Assembly
    from edged.configfile import load_config
    from edged.references.feedback import give_feedback
    from edged.references.store import BankStore

    settings = load_config(config, state)
    client = daemon_client(settings)
    if client is not None:
        with client:
            answer: dict[str, Any] = client.call("feedback", request, timeout_s=600.0)
            return answer
    with BankStore(settings.state_path) as store:
        chosen = {name: request[name] for name in ("domain", "dry_run", "force")}
        return give_feedback(Assembly(settings), store, request["event"], request["verdict"], **chosen)


def _print_label(report: Mapping[str, Any]) -> None:
    for line in report["notes"]:
        note(line)
    print(f"threshold: {report['threshold']:.2f} (before: {report['threshold_before']:.2f})")
    print(f"false alarms to be expected: {rate_text(report['false_alarms'])}")
    done = "would be kept (dry run, nothing changed)" if report["dry_run"] else f"kept, version {report['version']}"
    print(
        f"{report['stream']} / {report['monitor']}: anomaly of event {report['event']}, {report['score']:.2f}, {done}"
    )
