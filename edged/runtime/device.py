"""One device of the running daemon: its supervisor, and the streams that take its channels."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from edged.capture.lifecycle import BETWEEN_CHILDREN, CaptureState
from edged.capture.pcm import STDIN
from edged.capture.source import DeviceBlock, SourceSpec
from edged.capture.supervisor import CaptureChange, Supervisor
from edged.config import CaptureSettings, DeviceSettings, FileSettings, MicrophoneSettings
from edged.runtime.messages import Announce, StatusChange
from edged.runtime.stream import Stream

_log = logging.getLogger(__name__)

_TROUBLED = BETWEEN_CHILDREN | {CaptureState.FAILED}
_REPORTED = frozenset(CaptureState) - {CaptureState.STARTING}


def source_spec(
    settings: DeviceSettings, capture: CaptureSettings, channels: int, *, has_an_end: bool = False
) -> SourceSpec:
    """What the capture child is to open.

    Args:
        channels: how many the streams need, at least.
        has_an_end: the run ends with its sources: a FIFO is not waited for again.
    """
    block_s = capture.block_ms / 1000
    if isinstance(settings, MicrophoneSettings):
        wanted = settings.channels or channels
        return SourceSpec(
            "microphone",
            settings.name,
            settings.rate_hz or 0,
            wanted,
            block_s=block_s,
            silent_after_s=capture.silent_s,
            realtime_priority=capture.realtime_priority,
        )
    if isinstance(settings, FileSettings):
        path = str(settings.path.absolute())
        return SourceSpec("file", path, speed=settings.speed, loop=settings.loop, block_s=block_s)
    return SourceSpec(
        "pcm",
        str(settings.path),
        settings.rate_hz,
        settings.channels,
        sample_format=settings.encoding,
        reopens=settings.reopen and not has_an_end and str(settings.path) != STDIN,
        block_s=block_s,
    )


class Device:
    """Feeds the streams of one device and says when its state changes.

    Args:
        announce: makes a status event.
    """

    def __init__(
        self, name: str, spec: SourceSpec, streams: Sequence[Stream], settings: CaptureSettings, announce: Announce
    ) -> None:
        self.name = name
        self.spec = spec
        self._streams = streams
        self._announce = announce
        self._reported: tuple[CaptureState, str] | None = None
        self.reason = ""
        self.supervisor = Supervisor(spec, self, settings)

    def block(self, block: DeviceBlock) -> None:
        """Reader's thread: one block of all channels."""
        for stream in self._streams:
            for change in stream.feed(block):
                self._announce(StatusChange(stream.name, "input", change.state, change.reason))

    def finished(self, end: int, rate_hz: int) -> None:
        """Reader's thread: nothing more will come."""
        for stream in self._streams:
            stream.finish(end, rate_hz)

    def changed(self, change: CaptureChange) -> None:
        """Reader's thread: tell everybody, once per state and reason."""
        if change.reason:
            self.reason = change.reason
        if change.state not in _REPORTED or self._reported == (change.state, self.reason):
            return
        self._reported = (change.state, self.reason)
        level = logging.WARNING if change.state in _TROUBLED else logging.INFO
        _log.log(level, "device %s: %s %s", self.name, change.state.value, change.reason)
        for stream in self._streams:
            self._announce(StatusChange(stream.name, "capture", change.state.value, change.reason))

    def abandon(self) -> None:
        """Give up on a reader that does not end: what it still holds will count as lost."""
        for stream in self._streams:
            stream.inbox.end()

    def status(self) -> dict[str, Any]:
        """For `edged status`."""
        return {
            "state": self.supervisor.state.value,
            "reason": self.reason,
            "restarts": self.supervisor.restarts,
            "lost_frames": self.supervisor.lost_frames,
            "overruns": self.supervisor.overruns,
            "realtime": self.supervisor.is_realtime,
            "child_pid": self.supervisor.child_pid,
        }
