"""What the computer brings: Python and its packages, sound, time, systemd, a Jetson's power mode."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import metadata

from edged.capture.devices import list_inputs
from edged.capture.microphone import DEFAULT_DEVICE, choose
from edged.capture.source import InputDevice
from edged.config import Config, MicrophoneSettings
from edged.doctor.finding import Finding, Host, note, ok, wrong
from edged.errors import DeviceError

_UNIT = "edged.service"
_LEAST_PYTHON = (3, 10)
_EXTRAS_BY_NEED = ("microphone", "mqtt")


def python_version(version: tuple[int, ...] = sys.version_info[:3]) -> list[Finding]:
    """The interpreter."""
    text = ".".join(map(str, version))
    if version < _LEAST_PYTHON:
        return [wrong("python", f"Python {text}", "install edged for Python 3.10 or newer")]
    return [ok("python", f"Python {text}")]


def packages(config: Config, requirements: Sequence[str] | None = None) -> list[Finding]:
    """Whether the Python packages that this configuration needs are there, and new enough."""
    try:
        wanted = metadata.requires("edged") or [] if requirements is None else requirements
    except metadata.PackageNotFoundError:
        return [note("packages", "edged runs from its source tree, its packages are not checked")]
    uses = {"microphone": _microphones(config), "mqtt": config.mqtt.host}
    needed = {extra for extra in _EXTRAS_BY_NEED if uses[extra]}
    found = [finding for line in wanted for finding in _requirement(line, needed)]
    return found or [ok("packages", "all that this configuration needs are there")]


def _requirement(line: str, extras: set[str]) -> list[Finding]:
    """One line such as ``paho-mqtt>=2.0; extra == "mqtt"``."""
    match = re.match(r"""([A-Za-z0-9._-]+)\s*(?:>=\s*([0-9.]+))?[^;]*(?:;\s*extra\s*==\s*['"](\w+)['"])?""", line)
    if match is None or (match[3] and match[3] not in extras) or ("extra" in line and not match[3]):
        return []
    name, least = match[1], match[2] or "0"
    fix = f"pip install '{name}>={least}'"
    try:
        present = metadata.version(name)
    except metadata.PackageNotFoundError:
        return [wrong("packages", f"{name} is missing", fix)]
    is_old = _numbers(present) < _numbers(least)
    return [wrong("packages", f"{name} {present} is older than {least}", fix)] if is_old else []


def _numbers(version: str) -> list[int]:
    found = [int(part) for part in re.findall(r"\d+", version.split("+", 1)[0])[:3]]
    return found + [0] * (3 - len(found))


def microphones(config: Config, inputs: Callable[[], list[InputDevice]] = list_inputs) -> list[Finding]:
    """PortAudio, and whether every microphone of the configuration is plugged in."""
    wanted = _microphones(config)
    if not wanted:
        return [ok("microphones", "the configuration names none")]
    try:
        present = list(enumerate(inputs()))
    except DeviceError as error:
        return [wrong("microphones", error.message, error.fix)]
    found = []
    for name, settings in wanted.items():
        try:
            _, device = choose(settings.name or DEFAULT_DEVICE, present)
        except DeviceError as error:
            fix = f"plug it in, or name one that `edged devices` lists at devices.{name}.name"
            found.append(wrong("microphones", f"{name}: {error.message}", fix))
            continue
        few = settings.channels is not None and settings.channels > device.channels
        text = f"{name}: {device.stable_name}, {device.channels} channels"
        fix = f"lower devices.{name}.channels"
        found.append(
            wrong("microphones", f"{text}, {settings.channels} wanted", fix) if few else ok("microphones", text)
        )
    return found


def _microphones(config: Config) -> dict[str, MicrophoneSettings]:
    return {name: one for name, one in config.devices.items() if isinstance(one, MicrophoneSettings)}


def sound_permissions(config: Config, host: Host) -> list[Finding]:
    """Whether this user may open the sound cards."""
    if not _microphones(config):
        return []
    nodes = sorted((host.root / "dev/snd").glob("pcm*c"))
    if not nodes:
        return [note("sound cards", "/dev/snd holds no input", "plug a microphone in; `arecord -l` lists them")]
    closed = [node.name for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    if closed:
        fix = "sudo usermod -aG audio $USER, then log in again (the service's user is in it)"
        return [wrong("sound cards", f"this user may not open {', '.join(closed)}", fix)]
    return [ok("sound cards", f"{len(nodes)} inputs may be opened")]


def clock_synchronised(host: Host) -> list[Finding]:
    """Whether somebody sets the clock: events bear wall-clock times."""
    answer = host.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if answer is None or answer[0] != 0:
        return [note("clock", "nobody tells whether it is synchronised (no timedatectl)")]
    if answer[1].strip() != "yes":
        return [wrong("clock", "not synchronised: times in events may be wrong", "sudo timedatectl set-ntp true")]
    return [ok("clock", "synchronised")]


def systemd_unit(host: Host) -> list[Finding]:
    """Whether the service is installed, enabled, running, and of which environment."""
    keys = ("LoadState", "UnitFileState", "ActiveState", "User", "Environment")
    answer = host.run(["systemctl", "show", _UNIT, *(f"--property={key}" for key in keys)])
    if answer is None or answer[0] != 0:
        return [note("service", "no systemd here")]
    facts = dict(line.split("=", 1) for line in answer[1].splitlines() if "=" in line)
    if facts.get("LoadState") != "loaded":
        return [note("service", f"{_UNIT} is not installed", "sudo deploy/install.sh")]
    found = []
    if facts.get("UnitFileState") != "enabled":
        fix = f"sudo systemctl enable --now {_UNIT}"
        found.append(wrong("service", f"is not started at boot ({facts.get('UnitFileState') or 'unknown'})", fix))
    if facts.get("ActiveState") != "active":
        fix = f"journalctl -u {_UNIT} -n 50, then sudo systemctl restart {_UNIT}"
        found.append(wrong("service", f"is {facts.get('ActiveState')}", fix))
    text = f"enabled and active, user {facts.get('User') or 'root'}, {facts.get('Environment') or 'no environment'}"
    return found or [ok("service", text)]


def jetson_power_mode(host: Host) -> list[Finding]:
    """On a Jetson: the power mode decides how many streams it carries."""
    if not (host.root / "etc/nv_tegra_release").is_file():
        return []
    answer = host.run(["nvpmodel", "-q"])
    mode = re.search(r"NV Power Mode:\s*(\S+)", answer[1]) if answer and answer[0] == 0 else None
    if mode is None:
        return [note("power mode", "nvpmodel does not tell", "sudo nvpmodel -q")]
    if mode[1].startswith("MAXN"):
        return [ok("power mode", mode[1])]
    return [note("power mode", f"{mode[1]}: below the fastest", "sudo nvpmodel -m 0, if the supply and cooling allow")]
