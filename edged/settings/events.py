"""What is published and kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edged.settings.base import Settings


class EventsSettings(Settings):
    """The socket events are published on, and the journal."""

    bind: str | None = Field(
        default=None,
        description="ZeroMQ endpoint: `tcp://` for other computers, beside the `ipc://` one in the runtime directory; "
        "an `ipc://` one instead of it",
    )
    heartbeat_s: float = Field(default=10.0, ge=0.1, le=3600.0, description="between heartbeats")
    send_high_water_mark: int = Field(default=1000, ge=10, le=1000000, description="messages waiting per subscriber")
    journal_max_events: int = Field(
        default=100000, ge=100, le=100000000, description="older events are removed beyond this, status before alarms"
    )
    journal_max_mib: int = Field(default=200, ge=1, le=1 << 20, description="the same for the size of their text")
    journal_max_age_days: float = Field(default=365.0, gt=0.0, le=36500.0, description="older events are removed")
    low_space_mib: int = Field(
        default=20, ge=0, le=1 << 20, description="telemetry is off while less than this is free on the state's disk"
    )
    scores: bool = Field(default=True, description="publish the score of every segment as telemetry")


class ClipsSettings(Settings):
    """Saved audio around events; it holds whatever the microphone heard, speech too, and never leaves the device."""

    anomaly: bool = Field(default=True, description="save the sound around the onset of an anomaly")
    keyword: bool = Field(default=False, description="save the sound around a keyword")
    pre_roll_s: float = Field(default=5.0, ge=0.0, le=60.0, description="audio before what decided the event")
    post_roll_s: float = Field(default=5.0, ge=0.0, le=60.0, description="audio after it")
    format: Literal["flac", "wav"] = Field(default="flac", description="file format, 16 bit")
    max_total_mib: int = Field(default=200, ge=1, le=1 << 20, description="all clips together; the oldest go first")
    max_age_days: float = Field(default=30.0, gt=0.0, le=3650.0, description="older clips are removed")
    keep_free_mib: int = Field(
        default=200, ge=0, le=1 << 20, description="no clip is saved when less than this would stay free on the disk"
    )
