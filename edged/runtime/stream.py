"""One monitored stream: what the reader fills and the worker empties."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from edged.capture.convert import ChannelConverter
from edged.capture.source import DeviceBlock
from edged.clock import StreamClock
from edged.config import CaptureSettings
from edged.events.schema import ScoreEvent
from edged.flow import SAMPLE_RATE_HZ, Block
from edged.observe.health import InputChange, InputHealth
from edged.pipeline import Monitor
from edged.ring import Ring
from edged.runtime.inbox import Inbox

_SCORES_KEPT = 1000


class Stream:
    """A stream of the running daemon.

    ``feed`` and ``finish`` belong to the reader's thread, the monitors to the worker's; the ring, the inbox and the
    snapshots in ``books`` may be used from any.

    Args:
        changed: the worker's condition, shared by all streams.
    """

    def __init__(
        self,
        name: str,
        device: str,
        channel: int,
        monitors: list[Monitor],
        *,
        settings: CaptureSettings,
        changed: threading.Condition,
        clock: StreamClock,
        is_live: bool,
    ) -> None:
        self.name = name
        self.device = device
        self.monitors = monitors
        self.clock = clock
        self.ring = Ring(settings.ring_s)
        self.inbox = Inbox(round(settings.queue_s * SAMPLE_RATE_HZ), changed, is_live=is_live)
        judging = next((monitor for monitor in monitors if monitor.name == "anomaly"), monitors[0])
        self.health = InputHealth(judging.judge_input)
        self.scores: deque[ScoreEvent] = deque(maxlen=_SCORES_KEPT)
        self.books: dict[str, dict[str, int]] = {}
        self.is_finished = False  # the worker has flushed the monitors
        self._converter = ChannelConverter(channel)
        self.keep_books()

    @property
    def heard_samples(self) -> int:
        """Samples that came from the device or were declared lost there."""
        return self._converter.received

    def feed(self, block: DeviceBlock) -> list[InputChange]:
        """Take a block of the device; changes of the input's health.

        Raises:
            AudioError: the device has no such channel.
        """
        return self._pass_on(self._converter.push(block))

    def finish(self, end: int, rate_hz: int) -> None:
        """The device got as far as ``end`` (its own samples) and nothing more will come."""
        blocks, lost_after = self._converter.finish(end, rate_hz)
        self._pass_on(blocks)
        self.inbox.end(lost_after)

    def keep_books(self) -> None:
        """Publish the monitors' accounting as one consistent snapshot (worker's thread)."""
        self.books = {monitor.name: monitor.accounting.as_dict() for monitor in self.monitors}

    def status(self) -> dict[str, Any]:
        """For `edged status`."""
        return {
            "device": self.device,
            "input": self.health.state if self.heard_samples else "none yet",
            "level_dbfs": round(self.health.level_dbfs, 1),
            "heard": self.heard_samples,
            "queued": self.inbox.queued_samples,
            "overflowed": self.inbox.overflowed_samples,
            "banks": {monitor.name: monitor.bank_version for monitor in self.monitors},
            "advice": {monitor.name: monitor.advice for monitor in self.monitors if monitor.advice},
            "samples": self.books,
        }

    def _pass_on(self, blocks: list[Block]) -> list[InputChange]:
        changes = []
        for block in blocks:
            self.clock.arrived(block.end)
            self.ring.write(block)
            changes += self.health.push(block)
            self.inbox.put(block)
        return changes
