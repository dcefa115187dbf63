"""All checks, in the order in which one would mend what they find."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from edged.config import Config
from edged.configfile import load_config
from edged.doctor import installation, machine
from edged.doctor.finding import Finding, Host, ok, wrong
from edged.errors import ConfigError, EdgedError


def examine(config_file: Path | None, state_dir: Path | None, host: Host | None = None) -> list[Finding]:
    """Everything that is found; a configuration that cannot be read is a finding too, and ends it."""
    host = host or Host()
    try:
        config = load_config(config_file, state_dir)
    except ConfigError as error:
        return [
            *machine.python_version(),
            wrong("configuration", error.message, error.fix or "edged check-config FILE"),
        ]
    streams = len(config.streams)
    none = wrong("configuration", "no streams are configured", "add devices and streams to /etc/edged/edged.yaml")
    found = [ok("configuration", f"{streams} streams") if streams else none]
    for check in checks(config, host):
        try:
            found += check()
        except (EdgedError, OSError) as error:
            name = getattr(check, "func", check).__name__.replace("_", " ")
            found.append(
                wrong(name, str(error), getattr(error, "fix", "") or "check owner and permissions, or use sudo")
            )
    return found


def checks(config: Config, host: Host) -> list[Callable[[], list[Finding]]]:
    """Each a small function that looks at one thing."""
    return [
        machine.python_version,
        partial(machine.packages, config),
        partial(machine.microphones, config),
        partial(machine.sound_permissions, config, host),
        partial(machine.clock_synchronised, host),
        partial(machine.jetson_power_mode, host),
        partial(installation.state_directory, config),
        partial(installation.database, config),
        partial(installation.bundles, config),
        partial(installation.references, config),
        partial(installation.engines, config),
        partial(installation.keys, config),
        partial(installation.mqtt_secrets, config),
        partial(machine.systemd_unit, host),
        partial(installation.daemon, config),
    ]
