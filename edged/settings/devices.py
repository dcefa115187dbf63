"""Audio inputs, and how their capture children are supervised."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edged.settings.base import Settings

_SILENT_S, _SILENT_SHARE = 3.0, 0.6
"""Where nothing is said: so long, or this share of a short `stall_timeout_s`: the child has to speak before that."""


class MicrophoneSettings(Settings):
    """A PortAudio/ALSA input."""

    source: Literal["microphone"]
    name: str = Field(
        default="default", min_length=1, description="device as `edged devices` lists it, or a part of its name"
    )
    rate_hz: int | None = Field(default=None, ge=8000, le=192000, description="capture rate; empty = the device's own")
    channels: int | None = Field(
        default=None, ge=1, le=64, description="channels to open; empty = as many as streams need"
    )


class FileSettings(Settings):
    """A WAV or FLAC file played as if it were a microphone."""

    source: Literal["file"]
    path: Path = Field(description="the file")
    loop: bool = Field(default=False, description="start again at the end")
    speed: float = Field(default=1.0, ge=0.0, le=10000.0, description="times real time; 0 = as fast as possible")


class PcmSettings(Settings):
    """Raw samples from stdin or a FIFO."""

    source: Literal["pcm"]
    path: Path = Field(default=Path("-"), description="`-` for stdin, or a FIFO")
    encoding: Literal["s16le", "f32le"] = Field(default="s16le", description="sample format")
    rate_hz: int = Field(default=16000, ge=8000, le=192000, description="sample rate")
    channels: int = Field(default=1, ge=1, le=64, description="interleaved channels")
    reopen: bool = Field(
        default=True,
        description="a FIFO: when its writer has closed it, wait for the next one; stdin ends, and with "
        "`exit_when_done` every pipe",
    )


DeviceSettings = Annotated[MicrophoneSettings | FileSettings | PcmSettings, Field(discriminator="source")]


class CaptureSettings(Settings):
    """How the capture children are supervised."""

    block_ms: int = Field(default=40, ge=5, le=1000, description="audio per block from a child")
    restart_initial_s: float = Field(
        default=0.5, ge=0.05, le=60.0, description="first pause before a child is started again"
    )
    restart_max_s: float = Field(
        default=30.0, ge=0.1, le=3600.0, description="longest pause; doubles up to here, with jitter"
    )
    restart_jitter: float = Field(
        default=0.2, ge=0.0, le=1.0, description="share by which a pause varies at random, so that devices differ"
    )
    stable_after_s: float = Field(
        default=60.0, ge=0.0, le=86400.0, description="after running this long a failure counts as the first again"
    )
    start_timeout_s: float = Field(
        default=15.0, ge=1.0, le=300.0, description="a child that says nothing for this long is replaced"
    )
    stall_timeout_s: float = Field(
        default=5.0, ge=0.5, le=300.0, description="no audio for this long = the child is replaced"
    )
    silent_after_s: float | None = Field(
        default=None,
        ge=0.2,
        le=300.0,
        description="a microphone that delivers nothing for this long is gone and looked for again; shorter than "
        "stall_timeout_s, which is for a child that does not even say so; empty = 3, or less if that is short",
    )
    end_timeout_s: float = Field(
        default=1.0, ge=0.1, le=2.0, description="a child that does not end this soon when asked is killed"
    )
    realtime_priority: int = Field(
        default=10,
        ge=0,
        le=50,
        description="real-time priority that microphones' children ask for; 0 = none. It needs the right to it "
        "(LimitRTPRIO= of the unit)",
    )
    queue_s: float = Field(
        default=20.0, ge=1.0, le=300.0, description="audio that may wait for the worker; more is declared lost"
    )
    ring_s: float = Field(
        default=600.0, ge=10.0, le=7200.0, description="latest audio in memory, for `enroll --last` and clips of events"
    )

    @model_validator(mode="after")
    def _the_child_speaks_first(self) -> CaptureSettings:
        if self.silent_s >= self.stall_timeout_s:
            raise ValueError("silent_after_s must be shorter than stall_timeout_s")
        return self

    @property
    def silent_s(self) -> float:
        """`silent_after_s`, or what follows from `stall_timeout_s`."""
        if self.silent_after_s is not None:
            return self.silent_after_s
        return min(_SILENT_S, _SILENT_SHARE * self.stall_timeout_s)
