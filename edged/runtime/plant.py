"""What a configuration makes of the state: streams with their monitors and references, and the devices they hear."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from functools import partial

from edged.assembly import Assembly
from edged.clock import Clock, StreamClock
from edged.config import Config
from edged.errors import StateError
from edged.pipeline import Monitor
from edged.references.store import BankStore
from edged.runtime.device import Device, source_spec
from edged.runtime.messages import Announce, StatusChange
from edged.runtime.stream import Stream

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plant:
    """Everything that is listened to.

    Attributes:
        streams: by name, those that others refer to first.
        devices: by name; those without a stream are left alone.
        changes: what is to be told of the references once somebody listens.
    """

    streams: dict[str, Stream] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    changes: list[StatusChange] = field(default_factory=list)


def build_plant(
    config: Config, assembly: Assembly, clock: Clock, changed: threading.Condition, announce: Announce
) -> Plant:
    """Streams and devices, nothing of them started.

    Args:
        changed: the worker's condition.
        announce: makes a status event, once devices run.
    """
    plant = Plant()
    with BankStore(config.state_path) as store:
        for name in config.streams_references_first:
            monitors = assembly.configured_monitors(store, name, partial(_unusable, plant, name))
            plant.streams[name] = _stream(config, name, monitors, clock, changed)
            for monitor in monitors:
                _look_at_bank(plant, monitor)
    assembly.link_references({name: stream.monitors for name, stream in plant.streams.items()})
    for name in config.devices:
        streams = [stream for stream in plant.streams.values() if stream.device == name]
        if streams:
            channels = 1 + max(config.streams[stream.name].channel for stream in streams)
            spec = source_spec(config.devices[name], config.capture, channels, has_an_end=config.exit_when_done)
            plant.devices[name] = Device(name, spec, streams, config.capture, announce)
    return plant


def _stream(config: Config, name: str, monitors: list[Monitor], clock: Clock, changed: threading.Condition) -> Stream:
    settings = config.streams[name]
    source = config.devices[settings.device].source
    return Stream(
        name,
        settings.device,
        settings.channel,
        monitors,
        settings=config.capture,
        changed=changed,
        clock=StreamClock(clock, is_live=source != "file"),
        is_live=source == "microphone",
    )


def _unusable(plant: Plant, stream: str, monitor: str, error: StateError) -> None:
    """A bank cannot be used: its monitor runs without one until somebody enrols again."""
    _log.warning("stream %s: %s references cannot be used: %s", stream, monitor, error)
    plant.changes.append(StatusChange(stream, "bank", "unusable", f"{monitor} references: {error}"))


def _look_at_bank(plant: Plant, monitor: Monitor) -> None:
    """Say what an operator should know of a monitor's references."""
    if monitor.bank_version == 0:
        _log.warning("%s: nothing is enrolled for %s, it is deaf until then", monitor.stream, monitor.name)
    elif monitor.advice:
        _log.warning("%s: %s references: %s", monitor.stream, monitor.name, monitor.advice)
        advice = f"{monitor.name} references: {monitor.advice}"
        plant.changes.append(StatusChange(monitor.stream, "bank", "outdated", advice))
