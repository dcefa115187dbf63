"""The thread that owns the PUB socket and the journal: alarms are journalled, then published; telemetry may drop.

Nobody who subscribes can make it wait: a message that finds a subscriber's queue full is dropped for that subscriber,
who sees the hole in the numbers and asks the journal.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from edged.clock import NS_PER_S, Clock, SystemClock, rfc3339
from edged.config import EventsSettings, remote_endpoint
from edged.errors import EdgedError, StateError
from edged.events.keeper import JournalKeeper
from edged.events.schema import HeartbeatEvent, Journalled, Published, StatusEvent
from edged.security import SocketGuard

ALARM_QUEUE = 4096
TELEMETRY_QUEUE = 4096
_BATCH = 256
_LINGER_MS = 300
_DAEMON = "edged"
_CLOCK_STEP_S = 2.0
"""The wall clock moved by so much between two heartbeats: somebody set it."""

Samples = dict[str, dict[str, dict[str, int]]]
_Timed = tuple[Journalled, int]


class Publisher:
    """Takes events from any thread and publishes them from its own.

    Args:
        endpoint: where to bind.
        boot: identity of this life of the daemon.
        samples: sample accounting for heartbeats, by stream and monitor.
        on_damage: called when the database turns out to be damaged; from the publisher's thread.
    """

    def __init__(
        self,
        guard: SocketGuard,
        endpoint: str,
        state_dir: Path,
        *,
        settings: EventsSettings,
        boot: str,
        samples: Callable[[], Samples] = dict,
        clock: Clock | None = None,
        on_damage: Callable[[], None] = lambda: None,
    ) -> None:
        self._guard, self._endpoint = guard, endpoint
        self._state_dir, self._settings, self._boot = state_dir, settings, boot
        self._samples = samples
        self._on_damage = on_damage
        self._clock = clock or SystemClock()
        self._started_ns = self._clock.monotonic_ns()
        self._condition = threading.Condition()
        self._alarms: deque[_Timed] = deque()
        self._telemetry: deque[Published] = deque()
        self._stopping = self._has_ended = False
        self._failure: EdgedError | None = None
        self._ready = threading.Event()
        self._keeper: JournalKeeper | None = None
        self._told = "ok"
        self._wall_ahead_ns = 0
        self.published = 0
        self.dropped_telemetry = 0
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    @property
    def queue_depth(self) -> int:
        """Events that wait to be published."""
        return len(self._alarms) + len(self._telemetry)

    @property
    def last_seq(self) -> int:
        """Number of the newest event."""
        return self._keeper.last_seq if self._keeper else 0

    @property
    def unjournalled(self) -> int:
        """Published events that the journal could not take yet."""
        return self._keeper.unjournalled if self._keeper else 0

    def waiting(self) -> list[Journalled]:
        """Published events that the journal could not take yet, oldest first; for any thread."""
        return self._keeper.waiting() if self._keeper else []

    def status(self) -> dict[str, Any]:
        """What `edged status` shows of it; for any thread."""
        keeper = self._keeper
        facts = {
            "last_seq": self.last_seq,
            "published": self.published,
            "queued": self.queue_depth,
            "dropped_telemetry": self.dropped_telemetry,
        }
        return facts | (keeper.facts() if keeper else {})

    def storage(self) -> dict[str, str]:
        """How the journal fares, and why; for any thread."""
        keeper = self._keeper
        return {"state": keeper.storage, "reason": keeper.reason} if keeper else {}

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Bind and open the journal.

        Raises:
            ConfigError: the endpoint cannot be bound, or may not be.
            StateError: the journal cannot be opened.
        """
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self, timeout_s: float) -> bool:
        """Publish everything that waits, then end; whether that was done in time."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def alarm(self, event: Journalled, wall_ns: int) -> None:
        """Hand over an event that must not be lost; waits while the queue is full.

        Raises:
            StateError: the publisher has ended.
        """
        with self._condition:
            self._condition.wait_for(lambda: len(self._alarms) < ALARM_QUEUE or self._has_ended)
            if self._has_ended:
                raise StateError("the publisher has ended")
            self._alarms.append((event, wall_ns))
            self._condition.notify_all()

    def telemetry(self, event: Published) -> None:
        """Hand over an event that may be dropped: the oldest goes when the queue is full, all while the disk is."""
        with self._condition:
            if self._told != "ok":
                self.dropped_telemetry += 1
                return
            if len(self._telemetry) >= TELEMETRY_QUEUE:
                self._telemetry.popleft()
                self.dropped_telemetry += 1
            self._telemetry.append(event)
            self._condition.notify_all()

    def _run(self) -> None:
        try:
            self._live()
        finally:
            with self._condition:  # told by a flag: those who wait are woken before the thread is gone
                self._has_ended = True
                self._condition.notify_all()

    def _live(self) -> None:
        try:
            socket, keeper = self._open()
        except EdgedError as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        try:
            self._serve(socket, keeper)
        finally:
            keeper.close()
            socket.close(linger=_LINGER_MS)

    def _open(self) -> tuple[zmq.Socket[bytes], JournalKeeper]:
        keeper = JournalKeeper(self._state_dir, self._settings, self._boot, self._clock, self._on_damage)
        socket: zmq.Socket[bytes] = self._guard.context.socket(zmq.PUB)
        socket.setsockopt(zmq.SNDHWM, self._settings.send_high_water_mark)
        try:
            self._guard.bind(socket, self._endpoint, remote=remote_endpoint(self._settings.bind))
        except EdgedError:
            socket.close(linger=0)
            keeper.close()
            raise
        self._keeper = keeper
        self._wall_ahead_ns = self._clock.wall_ns() - self._clock.monotonic_ns()
        return socket, keeper

    def _serve(self, socket: zmq.Socket[bytes], keeper: JournalKeeper) -> None:
        beat_at_s = time.monotonic()
        while not (self._stopping and not self.queue_depth):
            alarms, telemetry = self._take(beat_at_s)
            kept = keeper.keep([keeper.number(event, wall_ns) for event, wall_ns in alarms])
            for message in [*kept, *telemetry]:
                self._send(socket, message)
                self.published += 1
            self._tell_storage(keeper)
            if time.monotonic() >= beat_at_s:
                keeper.look()
                self._tell_storage(keeper)
                self._tell_clock()
                self._send(socket, self._heartbeat(keeper))
                beat_at_s = time.monotonic() + self._settings.heartbeat_s

    @staticmethod
    def _send(socket: zmq.Socket[bytes], message: Published) -> None:
        socket.send_multipart([message.topic.encode(), message.to_json()])

    def _take(self, beat_at_s: float) -> tuple[list[_Timed], list[Published]]:
        """Wait for events, the next heartbeat or the end; some of what there is."""
        with self._condition:
            wait_s = max(0.0, beat_at_s - time.monotonic())
            self._condition.wait_for(lambda: self.queue_depth or self._stopping, wait_s)
            alarms = [self._alarms.popleft() for _ in range(min(_BATCH, len(self._alarms)))]
            telemetry = [self._telemetry.popleft() for _ in range(min(_BATCH, len(self._telemetry)))]
            self._condition.notify_all()
        return alarms, telemetry

    def _tell_storage(self, keeper: JournalKeeper) -> None:
        """Say once that the disk refuses, or takes again; telemetry follows."""
        if keeper.storage != self._told:
            self._told = keeper.storage
            self._announce("storage", keeper.storage, keeper.reason)

    def _tell_clock(self) -> None:
        """Say that somebody set the wall clock: times before and after are not of one scale, numbers are."""
        ahead_ns = self._clock.wall_ns() - self._clock.monotonic_ns()
        moved_s, self._wall_ahead_ns = (ahead_ns - self._wall_ahead_ns) / NS_PER_S, ahead_ns
        if abs(moved_s) >= _CLOCK_STEP_S:
            self._announce("clock", "stepped", f"the wall clock was moved by {moved_s:+.1f} s; numbers keep the order")

    def _announce(self, subject: str, state: str, reason: str) -> None:
        """A status event of the publisher's own; it does not wait for itself."""
        wall_ns = self._clock.wall_ns()
        event = StatusEvent(
            boot=self._boot, time=rfc3339(wall_ns), stream=_DAEMON, subject=subject, state=state, reason=reason
        )
        with self._condition:
            self._alarms.append((event, wall_ns))

    def _heartbeat(self, keeper: JournalKeeper) -> HeartbeatEvent:
        return HeartbeatEvent(
            boot=self._boot,
            time=rfc3339(self._clock.wall_ns()),
            last_seq=keeper.last_seq,
            journal=keeper.identity,
            every_s=self._settings.heartbeat_s,
            uptime_s=(self._clock.monotonic_ns() - self._started_ns) / NS_PER_S,
            dropped_telemetry=self.dropped_telemetry,
            storage=keeper.storage,
            unjournalled=keeper.unjournalled,
            lost_from_journal=keeper.facts()["lost_from_journal"],
            removed_from_journal=keeper.facts()["removed_from_journal"],
            refused=self._guard.refused(),
            samples=self._samples(),
        )
