"""What a start would refuse and that can be known without one: a daemon that listens is not ended for that."""

from __future__ import annotations

from typing import Any

import zmq

from edged.assembly import MONITOR_NAMES, Assembly
from edged.config import Config
from edged.errors import ConfigError, EdgedError
from edged.references import thresholds
from edged.runtime import keyword_limits
from edged.security.guard import SocketGuard
from edged.settings.access import remote_endpoint

TAKEN_OVER = thresholds.THRESHOLD_SETTINGS | keyword_limits.THRESHOLD_SETTINGS
"""Settings of a monitor that `edged reload` takes over."""


def needs_restart(running: Config, changed: Config) -> list[str]:
    """Settings that differ and that `edged reload` does not take over: ``streams.press-4``, ``events`` ..."""
    before, after = _fixed(running), _fixed(changed)
    return [name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]


def _fixed(config: Config) -> dict[str, Any]:
    """All settings by name, each device and stream by its own, without those that a running daemon takes over."""
    settings = config.model_dump(mode="json")
    for stream in settings["streams"].values():
        for monitor in filter(None, stream["monitors"].values()):
            for name in TAKEN_OVER & monitor.keys():
                del monitor[name]
    named = {f"{group}.{name}": one for group in ("devices", "streams") for name, one in settings.pop(group).items()}
    return settings | named


def refuse_unusable(config: Config) -> None:
    """Look for streams, bundles, keys and sockets that are open to everybody.

    Raises:
        ConfigError: a daemon would not start with it on this computer.
    """
    if not config.streams:
        raise ConfigError("no streams are configured: there is nothing to do", fix="add devices and streams")
    context: zmq.Context[Any] = zmq.Context()
    try:
        assembly = Assembly(config)
        for stream, settings in config.streams.items():
            for monitor in MONITOR_NAMES:
                if getattr(settings.monitors, monitor) is not None:
                    assembly.bundle(stream, monitor)
        guard = SocketGuard(context, config.security)
        bound = (config.events_endpoint, remote_endpoint(config.events.bind))
        for endpoint in (*bound, config.control_endpoint, remote_endpoint(config.control.bind)):
            if endpoint is not None:
                guard.refuse_open(endpoint)
    except ConfigError:
        raise
    except EdgedError as error:
        raise ConfigError(error.message, fix=error.fix) from error
    finally:
        context.destroy(linger=0)
