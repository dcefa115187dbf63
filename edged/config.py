"""`edged.yaml`: every setting once, with default, bounds, unit and one sentence.

The sections stand in `edged.settings`. The example file and the reference table are generated from these models.
Unknown keys are errors with a suggestion, and all errors of a file are reported at once.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from edged.settings.access import ControlSettings, MetricsSettings, SecuritySettings, is_loopback, remote_endpoint
from edged.settings.base import Name, Settings
from edged.settings.devices import (
    CaptureSettings,
    DeviceSettings,
    FileSettings,
    MicrophoneSettings,
    PcmSettings,
)
from edged.settings.events import ClipsSettings, EventsSettings
from edged.settings.monitors import (
    AnomalySettings,
    KeywordSettings,
    MonitorsSettings,
    Scoring,
    ScoringName,
    StreamSettings,
    ThresholdMethod,
)
from edged.settings.mqtt import MqttSettings
from edged.settings.service import ServiceSettings

__all__ = [
    "AnomalySettings",
    "CaptureSettings",
    "ClipsSettings",
    "Config",
    "ControlSettings",
    "DeviceSettings",
    "EventsSettings",
    "FileSettings",
    "KeywordSettings",
    "MetricsSettings",
    "MicrophoneSettings",
    "MonitorsSettings",
    "MqttSettings",
    "PcmSettings",
    "Scoring",
    "ScoringName",
    "SecuritySettings",
    "ServiceSettings",
    "Settings",
    "StreamSettings",
    "ThresholdMethod",
    "is_loopback",
    "remote_endpoint",
]

SYSTEM_STATE_DIR = Path("/var/lib/edged")
SYSTEM_RUNTIME_DIR = Path("/run/edged")
SYSTEM_CONFIG_FILE = Path("/etc/edged/edged.yaml")


class Config(Settings):
    """The whole of `edged.yaml`."""

    state_dir: Path | None = Field(
        default=None,
        description="banks and journal; empty = /var/lib/edged for root or if it exists, else ~/.local/state/edged",
    )
    runtime_dir: Path | None = Field(
        default=None, description="sockets; empty = /run/edged with the system state, else the state directory"
    )
    devices: dict[Name, DeviceSettings] = Field(default_factory=dict, description="audio inputs by name")
    streams: dict[Name, StreamSettings] = Field(default_factory=dict, description="monitored signals by name")
    use_gpu: bool = Field(
        default=True,
        description="run the networks on a GPU where there is one: by the engine that `edged compile` made, or by ONNX "
        "Runtime's CUDA; the CPU serves until then",
    )
    exit_when_done: bool = Field(
        default=False, description="end when every file and pipe has ended and all of it is scored and published"
    )
    capture: CaptureSettings = CaptureSettings()
    events: EventsSettings = EventsSettings()
    clips: ClipsSettings = ClipsSettings()
    control: ControlSettings = ControlSettings()
    security: SecuritySettings = SecuritySettings()
    metrics: MetricsSettings = MetricsSettings()
    mqtt: MqttSettings = MqttSettings()
    service: ServiceSettings = ServiceSettings()

    @property
    def state_path(self) -> Path:
        """The state directory in force."""
        return self.state_dir or default_state_dir()

    @property
    def runtime_path(self) -> Path:
        """The directory of the sockets in force."""
        if self.runtime_dir:
            return self.runtime_dir
        return SYSTEM_RUNTIME_DIR if self.state_path == SYSTEM_STATE_DIR else self.state_path

    def reference_chain(self, stream: str) -> list[str]:
        """The stream, its reference stream, that one's, and so on; a cycle ends with the stream it comes back to."""
        chain: list[str] = []
        following: str | None = stream
        while following in self.streams and following not in chain:
            chain.append(following)
            following = self.streams[following].reference_stream
        return chain if following is None else [*chain, following]

    @property
    def streams_references_first(self) -> list[str]:
        """All streams, every reference stream before those that name it."""
        return sorted(self.streams, key=lambda name: len(self.reference_chain(name)))

    @property
    def events_endpoint(self) -> str:
        """Where events are published for this computer."""
        return _local_endpoint(self.events.bind, self.runtime_path / "events.sock")

    @property
    def control_endpoint(self) -> str:
        """Where commands are taken from this computer."""
        return _local_endpoint(self.control.bind, self.runtime_path / "control.sock")


def _local_endpoint(bind: str | None, default: Path) -> str:
    return bind if bind is not None and remote_endpoint(bind) is None else f"ipc://{default}"


def default_state_dir() -> Path:
    """The system's state directory for root and where edged is installed, the user's own else."""
    if os.geteuid() == 0 or SYSTEM_STATE_DIR.is_dir():
        return SYSTEM_STATE_DIR
    base = os.environ.get("XDG_STATE_HOME")
    return Path(base) / "edged" if base else Path.home() / ".local" / "state" / "edged"
