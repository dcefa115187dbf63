"""What belongs to edged: state, bundles, references, keys, the running daemon, engines. Nothing is written."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib import util
from pathlib import Path
from typing import Any

from edged import __version__
from edged.assembly import MONITOR_NAMES, Assembly, MonitorName
from edged.compile.engines import EngineStore, Hardware
from edged.compile.hardware import this_hardware
from edged.config import Config
from edged.control.client import ControlClient
from edged.doctor.finding import Finding, note, ok, wrong
from edged.errors import AcceleratorError, EdgedError
from edged.references.reader import BankReader, open_untouched
from edged.salvage import damaged_files
from edged.security.allowlist import read_allow_list
from edged.security.keys import read_pair
from edged.state import DATABASE_NAME

_MIB = 1 << 20
_ANSWER_WITHIN_S = 3.0


def state_directory(config: Config, free: Callable[[Path], int] | None = None) -> list[Finding]:
    """Whether state can be written, and whether there is room."""
    state = config.state_path
    if not state.is_dir():
        fix = f"sudo mkdir -p {state} && sudo chown edged: {state}, or set state_dir"
        return [note("state", f"{state} is not there yet: the first run makes it", fix)]
    if not os.access(state, os.R_OK | os.W_OK | os.X_OK):
        return [wrong("state", f"{state}: this user may not write there", "use sudo, or join group edged")]
    free_mib = (free(state) if free else shutil.disk_usage(state).free) // _MIB
    low_mib = config.events.low_space_mib
    if free_mib < low_mib:
        return [wrong("state", f"{state}: {free_mib} MiB free, telemetry is off below {low_mib}", "make room")]
    if free_mib < config.clips.keep_free_mib:
        return [
            note(
                "state", f"{state}: {free_mib} MiB free, no clips are saved", "make room, or lower clips.keep_free_mib"
            )
        ]
    return [ok("state", f"{state}: may be written, {free_mib} MiB free")]


def database(config: Config) -> list[Finding]:
    """Whether the state database is whole."""
    path = config.state_path / DATABASE_NAME
    if not path.is_file():
        return [note("database", f"{path} is not there yet", "enrol something, or start the daemon")]
    try:
        with closing(open_untouched(path)) as connection:
            answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        answer = str(error)
    if answer != "ok":
        fix = "restart the daemon: it moves the file aside and keeps all that can be read"
        return [wrong("database", f"{path}: {answer}", fix)]
    if damaged := damaged_files(path.parent):
        text = f"whole; an earlier one was damaged: {damaged[-1].name}"
        return [note("database", text, "look at the disk; remove it then")]
    return [ok("database", "whole")]


def bundles(config: Config) -> list[Finding]:
    """Every hash and shape of the bundles in use."""
    assembly, found = Assembly(config), {}
    for stream, monitor in _monitors(config):
        try:
            bundle = assembly.bundle(stream, monitor)
            found[bundle.digest] = ok("bundles", f"{bundle.label} is whole")
        except EdgedError as error:
            found[f"{stream}/{monitor}"] = wrong("bundles", f"{stream}/{monitor}: {error.message}", _fix(error))
    return list(found.values())


def references(config: Config) -> list[Finding]:
    """Whether every monitor has references, of the bundle in use."""
    if not (config.state_path / DATABASE_NAME).is_file():
        return [_nothing_enrolled(stream, monitor) for stream, monitor in _monitors(config)]
    assembly, found = Assembly(config), []
    with BankReader(config.state_path) as store:
        for stream, monitor in _monitors(config):
            try:
                bank = assembly.bank(store, stream, monitor)
            except EdgedError as error:
                found.append(wrong("references", f"{stream}/{monitor}: {error.message}", _fix(error)))
                continue
            known = bank and ok("references", f"{stream}/{monitor}: version {bank.version}")
            found.append(known or _nothing_enrolled(stream, monitor))
    return found


def keys(config: Config) -> list[Finding]:
    """Whether keys are there, fit, and are nobody else's."""
    settings = config.security
    if settings.server_secret_key is None:
        return [ok("keys", "none configured: only this computer can reach the daemon")]
    try:
        read_pair(settings.server_secret_key)
        clients = read_allow_list(settings.allowed_clients) if settings.allowed_clients else {}
    except EdgedError as error:
        return [wrong("keys", error.message, _fix(error))]
    home = settings.server_secret_key.parent / "clients"
    left = sorted(path.name for path in home.glob("*.key_secret")) if home.is_dir() else []
    if left:
        fix = f"copy them to their clients, then rm {home}/*.key_secret"
        return [note("keys", f"secret keys of clients still lie here: {', '.join(left)}", fix)]
    return [ok("keys", f"sound; {len(clients)} clients may connect")]


def mqtt_secrets(config: Config) -> list[Finding]:
    """Whether the bridge's password and certificates can be used."""
    if config.mqtt.host is None:
        return []
    from edged.bridge.secrets import read_password, tls_context  # noqa: PLC0415 - only where there is a bridge

    try:
        if config.mqtt.password_file:
            read_password(config.mqtt.password_file)
        tls_context(config.mqtt)
    except EdgedError as error:
        return [wrong("mqtt", error.message, _fix(error))]
    return [ok("mqtt", f"{config.mqtt.host}:{config.mqtt.port}, secrets are sound")]


def daemon(config: Config) -> list[Finding]:
    """Whether the daemon answers, and what it says of itself."""
    try:
        with ControlClient(config.control_endpoint, _ANSWER_WITHIN_S, connect_within_s=1.0) as client:
            status = client.call("status")
    except EdgedError as error:
        fix = "sudo systemctl start edged, or edged run; `journalctl -u edged` says why it ended"
        return [wrong("daemon", error.message, fix)]
    if (version := status.get("version")) != __version__:  # what it says may be another than is read here
        text = f"the one that runs is edged {version}, installed is {__version__}"
        return [wrong("daemon", text, "sudo systemctl restart edged")]
    if safe := status.get("safe_mode"):
        text = f"is in safe mode, nothing is listened to: {safe['reason']}; the last time: {safe['last_error']}"
        return [wrong("daemon", text, safe["fix"])]
    return [ok("daemon", f"answers, up {status['uptime_s'] / 3600:.1f} h"), *_troubles(status)]


def _troubles(status: dict[str, Any]) -> list[Finding]:
    """What a daemon that listens complains of."""
    found = []
    for name, device in status["devices"].items():
        if device["state"] not in {"running", "ended", "starting"}:
            text = f"device {name} is {device['state']}: {device['reason']}"
            found.append(wrong("daemon", text, "plug it in; `edged devices` shows what is there"))
        if device["state"] == "starting" and device["reason"]:
            text = f"device {name} is begun again: {device['reason']}"
            found.append(note("daemon", text, "plug it in, or start what writes into the pipe"))
        if device["state"] == "ended":
            text = f"device {name} has ended: nothing more is heard of it"
            found.append(note("daemon", text, "`edged restart` begins it again"))
    for name, stream in status["streams"].items():
        if stream["input"] not in {"ok", "none yet"}:
            text = f"stream {name}: its input is {stream['input']}"
            found.append(wrong("daemon", text, "look at microphone, cable and gain"))
        for monitor, books in stream["samples"].items():
            if books["lost"]:
                text = f"stream {name}/{monitor}: {books['lost']} samples lost since the start"
                found.append(note("daemon", text, "`edged status` tells where: device, or a computer that is too slow"))
    if (storage := status["storage"].get("state", "ok")) != "ok":
        found.append(wrong("daemon", f"storage {storage}: {status['storage'].get('reason')}", "make room"))
    return found


def engines(config: Config, hardware: Callable[[], Hardware] = this_hardware) -> list[Finding]:
    """TensorRT and pycuda, and whether each network has an engine that was found right on this hardware."""
    if not config.use_gpu:
        return [ok("engines", "use_gpu is off: the CPU runs the networks")]
    missing = [name for name in ("tensorrt", "pycuda") if util.find_spec(name) is None]
    try:
        present = hardware()
    except AcceleratorError as error:
        without = f"without {' and '.join(missing)}" if missing else error.message
        return [note("engines", f"{without}: the CPU runs the networks", _fix(error))]
    assembly, store, found = Assembly(config), EngineStore(config.state_path), {}
    for stream, monitor in _monitors(config):
        try:
            bundle = assembly.bundle(stream, monitor)
            record = store.record(bundle) if bundle.manifest.model else None
            if bundle.manifest.model is None:
                continue
            if record is None:
                found[bundle.digest] = note("engines", f"{bundle.label}: no engine", "edged compile")
            elif difference := record.hardware.difference(present):
                found[bundle.digest] = wrong(
                    "engines", f"{bundle.label}: for other hardware: {difference}", "edged compile"
                )
            else:
                parity = ", ".join(f"{key} {value:.3g}" for key, value in record.parity.items())
                found[bundle.digest] = ok("engines", f"{bundle.label}: {record.label}; {parity}")
        except EdgedError as error:
            found[stream] = wrong("engines", error.message, _fix(error))
    return list(found.values())


def _monitors(config: Config) -> list[tuple[str, MonitorName]]:
    return [
        (stream, monitor)
        for stream, settings in config.streams.items()
        for monitor in MONITOR_NAMES
        if getattr(settings.monitors, monitor) is not None
    ]


def _nothing_enrolled(stream: str, monitor: str) -> Finding:
    word = " --keyword WORD" if monitor == "keyword" else ""
    fix = f"edged enroll --clips DIR --stream {stream}{word}"
    return wrong("references", f"{stream}/{monitor}: nothing is enrolled, so nothing is judged", fix)


def _fix(error: EdgedError) -> str:
    return error.fix or (type(error).__doc__ or "").split(": ", 1)[-1].strip().splitlines()[0]
