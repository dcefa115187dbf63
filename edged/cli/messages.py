"""`edged listen`, `events`, `status`: what the running daemon says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edged.cli.options import ConfigOption, JsonlOption, JsonOption, StateOption
from edged.cli.output import note, print_json, print_line, print_table

DECISIONS = ("anomaly.", "keyword.", "status.")
"""What people want to see; scores and heartbeats are for programs that ask for them."""

_MAX_SEQ = 1 << 62


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("listen")(listen)
    app.command("events")(events)
    app.command("status")(status)


def listen(
    topic: Annotated[
        list[str] | None,
        typer.Option(
            "--topic", "-t", help="Topic prefix, such as anomaly.press-3; '' for everything, scores and heartbeats too"
        ),
    ] = None,
    after: Annotated[
        int | None, typer.Option("--after", min=0, max=_MAX_SEQ, help="First what the journal holds after this number")
    ] = None,
    cursor: Annotated[
        Path | None, typer.Option("--cursor", help="A small file that remembers how far you came: go on there")
    ] = None,
    jsonl: JsonlOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Subscribe to the running daemon and print its events until Ctrl-C; what was missed comes from the journal.

    Example: edged listen --topic anomaly. --topic keyword.

    Example: edged listen --jsonl --cursor seen.json >> events.jsonl
    """
    from edged.configfile import load_config
    from edged.events.subscriber import Subscriber

    settings = load_config(config, state)
    note(f"listening at {settings.events_endpoint} (Ctrl-C ends)")
    topics = tuple(topic or DECISIONS)
    with Subscriber(
        settings.events_endpoint, topics, settings.control_endpoint, after_seq=after, cursor=cursor
    ) as subscriber:
        for event in subscriber:
            print_line(event) if jsonl else print(event_line(event), flush=True)


def events(
    since: Annotated[
        str, typer.Option("--since", help="Number, or RFC 3339 time: from the first event of that time on, by number")
    ] = "0",
    topic: Annotated[list[str] | None, typer.Option("--topic", "-t", help="Topic prefix, such as anomaly.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most this many")] = 1000,
    jsonl: JsonlOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Print what the journal holds, oldest first; needs no daemon.

    Example: edged events --since 2026-01-31T00:00:00Z --topic anomaly. --jsonl
    """
    from edged.configfile import load_config
    from edged.events.journal import read_journal
    from edged.state import DATABASE_NAME

    settings = load_config(config, state)
    if not (settings.state_path / DATABASE_NAME).exists():
        note(f"edged: {settings.state_path}: no daemon has run with this state directory; another one: --state DIR")
    for event in read_journal(settings.state_path, since=since, topics=topic or ("",), limit=limit):
        print_line(event) if jsonl else print(event_line(event))


def status(as_json: JsonOption = False, config: ConfigOption = None, state: StateOption = None) -> None:
    """Health of the running daemon: devices, streams, samples, banks; exit code 1 while it is in safe mode."""
    from edged.configfile import load_config
    from edged.control.client import ControlClient

    settings = load_config(config, state)
    with ControlClient(settings.control_endpoint) as client:
        answer = client.call("status", {})
    if as_json:
        print_json(answer)
    else:
        _print_status(answer)
    if answer.get("safe_mode"):
        raise typer.Exit(1)


def _print_status(answer: dict[str, Any]) -> None:
    print(f"edged {answer.get('version', '')}: up {answer.get('uptime_s', 0):.0f} s")
    for line in _safe_mode_lines(answer.get("safe_mode")):
        print(line)
    for section in ("devices", "streams", "backends"):
        print_table(section, *_facts_by_name(answer.get(section, {})))
    for line in _storage_lines(answer.get("storage", {}), answer.get("events", {})):
        print(line)
    if refused := {what: n for what, n in answer.get("security", {}).get("refused", {}).items() if n}:
        print("refused: " + ", ".join(f"{what.replace('_', ' ')} {n}" for what, n in refused.items()))


def _safe_mode_lines(facts: dict[str, Any] | None) -> list[str]:
    """Why nothing is listened to; nothing where all is well.

    >>> _safe_mode_lines({"reason": "it crashed", "last_error": "no room", "fix": "make room", "tries_again_in_s": 90})
    ['SAFE MODE: nothing is listened to: it crashed', '  last error: no room', '  make room', '  tries again in 90 s']
    """
    if not facts:
        return []
    lines = [f"SAFE MODE: nothing is listened to: {facts['reason']}", f"  last error: {facts['last_error']}"]
    again_s = facts["tries_again_in_s"]
    return [*lines, f"  {facts['fix']}", *([f"  tries again in {again_s:.0f} s"] if again_s is not None else [])]


def _storage_lines(storage: dict[str, Any], counts: dict[str, Any]) -> list[str]:
    """What an operator should know of the disk and the journal; nothing where all is well.

    >>> _storage_lines({"state": "failing", "reason": "disk full"}, {"unjournalled": 3})
    ['storage: failing: disk full', 'journal: 3 events wait for it']
    """
    lines = []
    if storage.get("state", "ok") != "ok":
        lines.append(f"storage: {storage['state']}: {storage['reason']}")
    if storage.get("salvaged"):
        lines.append(f"state database: {storage['salvaged']}")
    waiting, lost = counts.get("unjournalled", 0), counts.get("lost_from_journal", 0)
    facts = [f"{waiting} events wait for it"] * bool(waiting) + [f"{lost} never came into it"] * bool(lost)
    return lines + [f"journal: {', '.join(facts)}"] * bool(facts)


def event_line(event: dict[str, Any]) -> str:
    """An event as one line for people."""
    where = f"{event.get('stream', '')}"
    kind = event.get("kind", event.get("topic", ""))
    facts = [f"{key}={event[key]}" for key in ("keyword", "domain", "severity", "state", "reason") if event.get(key)]
    if kind == "drift":
        facts.append(f"{event['details']['state']} spreads={event['details']['spreads']:.1f}")
    if event.get("onset_s") is not None:
        facts.append(f"onset={event['onset_s']:.2f}s")
    if event.get("offset_s") is not None:
        facts.append(f"offset={event['offset_s']:.2f}s")
    if event.get("score") is not None:
        facts.append(f"score={event['score']:.3f}")
    return f"{event.get('time', '')}  {where:16s} {kind:10s} {' '.join(facts)}"


def _facts_by_name(section: Any) -> tuple[list[str], list[list[object]]]:
    """A mapping of mappings as a table, a column each, as there are more facts than devices; nested values become text.

    >>> _facts_by_name({"press": {"state": "ok", "overruns": 0}, "mill": {"state": "lost"}})
    (['', 'press', 'mill'], [['state', 'ok', 'lost'], ['overruns', 0, None]])
    """
    items = section.items() if isinstance(section, dict) else enumerate(section)
    columns = {str(name): value if isinstance(value, dict) else {"": value} for name, value in items}
    facts = list(dict.fromkeys(fact for values in columns.values() for fact in values))
    return ["", *columns], [[fact, *(_short(values.get(fact)) for values in columns.values())] for fact in facts]


def threshold_text(facts: dict[str, Any]) -> str:
    """A threshold, where it comes from, and its false alarms per day, or per hour of a word.

    >>> rate = {"budget": 0.5, "expected": 0.12, "low": 0.01, "high": 0.5, "confidence": 0.9}
    >>> facts = {"threshold": 4.312, "basis": "extrapolated", "false_alarms_per_day": rate, "heard_h": 31.4}
    >>> threshold_text(facts)
    '4.31 extrapolated from 31.4 h, false alarms per day 0.12 (0.01 to 0.5, 90%)'
    >>> threshold_text(facts | {"needed_h": 2.04})
    '4.31 extrapolated from 31.4 h, false alarms per day 0.12 (0.01 to 0.5, 90%), budget needs 2 h more'
    >>> threshold_text(facts | {"false_alarms_per_day": rate | {"expected": None}, "lost_scores": 30})
    '4.31 extrapolated from 31.4 h, false alarms per day up to 0.5 (90%), 30 scores lost'
    """
    per = "day" if "false_alarms_per_day" in facts else "hour"
    rate = facts[f"false_alarms_per_{per}"]
    expected, low, high = ("?" if rate[key] is None else f"{rate[key]:.2g}" for key in ("expected", "low", "high"))
    few = rate["expected"] is None and rate["high"] is not None
    needed = f", budget needs {facts['needed_h']:.2g} h more" if facts.get("needed_h") else ""
    confidence = f"{rate['confidence']:.0%}"
    band = f"up to {high} ({confidence})" if few else f"{expected} ({low} to {high}, {confidence})"
    lost = f", {facts['lost_scores']} scores lost" if facts.get("lost_scores") else ""
    start = f"{facts['threshold']:.2f} {facts['basis']} from {facts['heard_h']:.3g} h"
    return f"{start}, false alarms per {per} {band}{needed}{lost}"


def _short(value: object) -> object:
    if isinstance(value, dict) and {"false_alarms_per_day", "false_alarms_per_hour"} & value.keys():
        return threshold_text(value)
    if isinstance(value, dict):
        return " ".join(f"{key}={_short(inner)}" for key, inner in value.items())
    return round(value, 3) if isinstance(value, float) else value
