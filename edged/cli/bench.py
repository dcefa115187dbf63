"""`edged bench`: what this computer can carry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from edged.cli.options import JsonOption, StateOption
from edged.cli.output import note, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("bench")(bench)


def bench(
    seconds: Annotated[
        float, typer.Option("--seconds", min=5, max=3600, help="About how long; longer is steadier.")
    ] = 60.0,
    as_json: JsonOption = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Configuration file whose streams are to be carried; without it both bundles."),
    ] = None,
    state: StateOption = None,
) -> None:
    """Measure what each stage costs on this computer, and how many streams it keeps up with.

    Runs the daemon's own parts on sound of its own: no microphone is opened, nothing of the state is changed, a daemon
    that runs goes on. With --config it takes the streams, settings, references and engines of a configuration, and says
    how many streams of that kind this computer carries, and which stage is the limit. Where Ctrl-C or an error ends it,
    what was measured by then is printed.

    Examples:
        edged bench

        edged bench --config /etc/edged/edged.yaml

        sudo edged bench --seconds 300 --json > bench.json
    """
    from edged.bench.run import Bench
    from edged.configfile import load_config
    from edged.errors import ConfigError, EdgedError

    settings = load_config(config, state) if config else None
    if settings is not None and not settings.streams:
        raise ConfigError(f"{config}: has no streams", fix="add devices and streams, or leave --config out")
    run = Bench(settings, state, seconds, lambda text: note(f"measuring: {text}"))
    ended: BaseException | None = None
    try:
        run.run()
    except (KeyboardInterrupt, EdgedError) as error:
        ended = error
        note("interrupted: this is what was measured by then")
    found = {"interrupted": ended is not None, **run.found}
    if as_json:
        print_json(found)
    else:
        show(found)
    if ended:
        raise ended


def show(found: Mapping[str, Any]) -> None:
    """Tables for people, of whatever was found."""
    _show_machine(found)
    _show_networks(found.get("networks", ()))
    _show_stages([*found.get("capture", ()), *found.get("stages", ())])
    _show_rehearsal(found)
    _show_capacity(found.get("capacity", ()))


def _show_machine(found: Mapping[str, Any]) -> None:
    machine = found.get("machine", {})
    versions = machine.get("versions", {})
    rows: list[tuple[str, object]] = [
        ("computer", ", ".join(filter(None, [machine.get("board"), machine.get("cpu"), machine.get("gpu")]))),
        ("cores, memory", f"{machine.get('cores', 0):g}, {machine.get('memory_mib', 0)} MiB"),
        ("power mode", ", ".join(filter(None, [machine.get("power_mode"), machine.get("governor")])) or "not told"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    streams, disturbance = found.get("streams"), found.get("disturbance")
    if streams:
        rows.append(("streams of", f"{streams['of']} ({streams['count']})"))
        if streams["stand_in_references"]:
            rows.append(("references", f"stand-ins for {', '.join(streams['stand_in_references'])}"))
        rows += [("note", text) for text in streams["notes"]]
    if disturbance:
        rows.append(("disturbance", disturbance_line(disturbance)))
    print_table("machine", ("what", "is"), rows)


def disturbance_line(found: Mapping[str, Any]) -> str:
    """What makes the figures worse than they could be."""
    slowed = [f"{name} +{n}" for name, n in found["throttle_counts"].items()] + found["cooling_at_work"]
    heat = found["hottest_celsius"]["after"]
    parts = [
        f"throttled: {', '.join(slowed)}" if slowed else "no throttling seen",
        f"hottest {heat:g} °C" if heat is not None else "",
        f"others kept {found['others_busy_cores']:g} cores busy",
        f"waited for a core {found['waited_percent']:g} % of the time" if found["waited_percent"] else "",
        f"{found['stolen_percent']:g} % stolen by the host" if found["stolen_percent"] else "",
    ]
    return ", ".join(filter(None, parts))


def _show_networks(networks: Any) -> None:
    rows = []
    for one in networks:
        if one["runs_on"] is None:
            rows.append((one["kind"], one["absent"], "", "", f"not here: {one['reason']}"))
            continue
        rows += [
            (one["kind"], one["runs_on"], batch["size"], f"{batch['p50_ms']:g} / {batch['p99_ms']:g}",
             f"{batch['segment_ms']:g}")
            for batch in one["batches"]
        ]  # fmt: skip
        rows.append(("", "", "", f"streams per {one['streams_per']}, network alone", one["streams_of_network_alone"]))
    if rows:
        print_table("networks", ("bundle", "runs on", "batch", "p50 / p99, ms", "a segment, ms"), rows)


def _show_stages(measured: list[Any]) -> None:
    rows = []
    for one in measured:
        plural = "" if one.get("streams") == 1 else "s"
        name = one.get("monitor") or f"{one['device']}, {one['streams']} stream{plural}"
        what = f"{name}: {one['against']}" if "against" in one else name
        for number, stage in enumerate(one["stages"]):
            delay = f"{stage['p50_ms']:g} / {stage['p99_ms']:g}"
            rows.append((what if number == 0 else "", stage["stage"], delay, f"{stage['cpu_ms_per_s']:g}"))
        rows.append(("", "all", "", f"{10 * one['percent_of_core']:.3g}"))
    if rows:
        columns = ("what", "stage", "p50 / p99, ms", "CPU for a second of sound, ms")
        print_table("stages: delay of one segment, and cost when there is much to do", columns, rows)


def _show_rehearsal(found: Mapping[str, Any]) -> None:
    seen, energy = found.get("rehearsal"), found.get("energy", {})
    rows: list[tuple[str, object]] = _seen_rows(seen) if seen else []
    if energy.get("source"):
        rows.append(("power", _power(energy)))
    elif energy:
        rows.append(("power", f"not measured: {energy['reason']}"))
    if rows:
        print_table("the daemon in real time", ("what", "is"), rows)


def _seen_rows(seen: Mapping[str, Any]) -> list[tuple[str, object]]:
    delay = seen["score_delay_ms"]
    loads = f"daemon {seen['daemon_percent_of_core']:g}, capture children {seen['capture_children_percent_of_core']:g}"
    resident = f"daemon {seen['daemon_resident_mib']} MiB, at most {seen['daemon_peak_mib']}"
    return [
        ("streams, time", f"{seen['streams']}, {seen['seconds']:g} s, of which {seen['kept_up_percent']:.0f} % done"),
        ("share of a core", f"{seen['percent_of_core']:g} % ({loads})"),
        ("end of a segment to its score", f"{delay['p50']:g} / {delay['p99']:g} ms" if delay else "no scores"),
        ("memory", f"{resident}; each capture child {seen['capture_child_private_mib']} MiB of its own"),
        ("samples lost", seen["lost_samples"]),
    ]


def _power(energy: Mapping[str, Any]) -> str:
    names = {"idle_w": "at rest", "one_core_w": "one core busy", "rehearsal_w": "the daemon"}
    parts = [f"{name} {energy[key]:g} W" for key, name in names.items() if energy.get(key) is not None]
    return f"{', '.join(parts)} by {energy['source']}"


def _show_capacity(found: Any) -> None:
    rows = [
        (
            one["kind"],
            f"{_between(one['keeps_up_with_streams'])}; {one['beside_what_ran_meanwhile']} beside what ran meanwhile",
            f"{one['limit']}: {one['limiting_stage']} ({one['its_share_percent']:g} %)",
            f"{one['percent_of_core_per_stream']:g} %" + ("" if one["is_rehearsed"] else " at least"),
            f"{one['delay_ms']:g}; {one['all_at_once']['delay_ms']:g} if {one['all_at_once']['streams']} end at once",
        )
        for one in found
    ]
    if rows:
        columns = ("streams of", "keeps up with", "limit", "of a core, each", "after a segment's end, ms")
        print_table("to be expected", columns, rows)
        print("Plan with the lower number: events, their explanations and other programs need room too.")


def _between(streams: Mapping[str, int | None]) -> str:
    least, most = streams["at_least"], streams["at_most"]
    return f"at most {most}" if least is None else f"{least} to {most}"
