"""What every source of samples looks like, inside the capture child and for files read in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal, Protocol

from edged.errors import DeviceError, EdgedError
from edged.flow import Float32Array

SourceKind = Literal["microphone", "file", "pcm"]
SampleFormat = Literal["s16le", "f32le"]
_KINDS = ("microphone", "file", "pcm")


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Everything a capture child needs to open its source; travels as one JSON argument.

    Attributes:
        kind: which source.
        target: microphone: device name; file: path; pcm: path of a FIFO, or ``-`` for standard input.
        rate_hz: sample rate; 0 = the device's own (microphone, file). Needed for pcm.
        channels: channels; 0 = the device's own. Needed for pcm.
        sample_format: of raw PCM.
        speed: file: 1 = real time, 4 = four times faster, 0 = as fast as it is taken.
        loop: file: begin again at the end, without a gap.
        reopens: pcm: a FIFO outlives those who write to it: the next one is waited for.
        block_s: length of the blocks handed over.
        silent_after_s: microphone: one that delivers nothing for this long is gone.
        realtime_priority: microphone: of the child's threads where it is permitted; 0 = none is asked for.
        start_frame: file: device sample to begin at (after a restart of the child).
    """

    kind: SourceKind
    target: str
    rate_hz: int = 0
    channels: int = 0
    sample_format: SampleFormat = "s16le"
    speed: float = 1.0
    loop: bool = False
    reopens: bool = False
    block_s: float = 0.02
    silent_after_s: float = 3.0
    realtime_priority: int = 0
    start_frame: int = 0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise DeviceError(f"no such kind of source: {self.kind}", fix=f"use one of {', '.join(_KINDS)}")
        if self.kind == "pcm" and not (self.rate_hz > 0 and self.channels > 0):
            raise DeviceError("raw PCM says nothing about itself", fix="give rate_hz and channels")
        if self.speed < 0 or self.block_s <= 0 or self.start_frame < 0:
            raise DeviceError("speed and start_frame are >= 0, block_s > 0")

    @property
    def is_live(self) -> bool:
        """Whether time goes on without us: what is not taken in time is lost."""
        return self.kind == "microphone"

    def starting_at(self, frame: int) -> SourceSpec:
        """The same source, begun at device sample ``frame``."""
        return replace(self, start_frame=frame)

    def to_json(self) -> str:
        """As the child's argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SourceSpec:
        """The inverse of :meth:`to_json`."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise DeviceError(f"not a source: {error}") from error


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Rate and channels a source delivers."""

    rate_hz: int
    channels: int


@dataclass(frozen=True, slots=True)
class DeviceBlock:
    """Samples of all channels as the device gave them.

    Attributes:
        sample: device sample index of the first frame.
        frames: float32 (n_frames, channels); not checked for NaN.
        rate_hz: of this block; ``sample / rate_hz`` is always seconds since the stream's time zero.
        lost_before: device samples lost right before ``sample``.
    """

    sample: int
    frames: Float32Array
    rate_hz: int
    lost_before: int = 0

    @property
    def end(self) -> int:
        """Device sample index one past the last frame."""
        return self.sample + len(self.frames)


@dataclass(frozen=True, slots=True)
class InputDevice:
    """One microphone as ``edged devices`` lists it.

    Attributes:
        name: PortAudio's name; its card numbers may change at the next boot.
        stable_name: what to write into the configuration.
        rate_hz: the device's native rate.
    """

    name: str
    stable_name: str
    channels: int
    rate_hz: int


class Source(Protocol):
    """An open source. ``blocks`` ends when the source does; errors are EdgedErrors."""

    @property
    def format(self) -> AudioFormat:
        """What :meth:`blocks` delivers."""
        ...

    def blocks(self) -> Iterator[DeviceBlock]:
        """The samples, in order, each block owned by the receiver."""
        ...

    def close(self) -> None:
        """Let the device go; ``blocks`` ends."""
        ...


class AbsentDeviceError(DeviceError):
    """The device is not there (yet, or any more): only somebody who plugs it in can help."""


def is_permanent(error: EdgedError) -> bool:
    """Whether trying again cannot help: a broken file stays broken, a missing device may come back."""
    return not isinstance(error, DeviceError)
