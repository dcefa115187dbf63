"""The thread that owns the PUB socket and the journal: alarms are journalled, then published; telemetry may drop."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import zmq

from edged.clock import NS_PER_S, Clock, SystemClock, rfc3339
from edged.config import EventsSettings, remote_endpoint
from edged.errors import EdgedError, StateError
from edged.events.journal import Journal
from edged.events.schema import HeartbeatEvent, Journalled, Published
from edged.security import SocketGuard

_log = logging.getLogger(__name__)

ALARM_QUEUE = 4096
TELEMETRY_QUEUE = 4096
UNJOURNALLED_KEPT = 10_000
_BATCH = 256
_LINGER_MS = 300
_JOURNAL_RETRY_S = 5.0

Samples = dict[str, dict[str, dict[str, int]]]
_Timed = tuple[Journalled, int]


class Publisher:
    """Takes events from any thread and publishes them from its own.

    Args:
        endpoint: where to bind.
        boot: identity of this life of the daemon.
        samples: sample accounting for heartbeats, by stream and monitor.
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
    ) -> None:
        self._guard, self._endpoint = guard, endpoint
        self._state_dir, self._settings, self._boot = state_dir, settings, boot
        self._samples = samples
        self._clock = clock or SystemClock()
        self._started_ns = self._clock.monotonic_ns()
        self._condition = threading.Condition()
        self._alarms: deque[_Timed] = deque()
        self._telemetry: deque[Published] = deque()
        self._unjournalled: deque[_Timed] = deque()
        self._journal_failed_s = -math.inf
        self._stopping = False
        self._failure: EdgedError | None = None
        self._ready = threading.Event()
        self.last_seq = 0
        self.published = 0
        self.dropped_telemetry = 0
        self.lost_from_journal = 0
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    @property
    def queue_depth(self) -> int:
        """Events that wait to be published."""
        return len(self._alarms) + len(self._telemetry)

    @property
    def unjournalled(self) -> int:
        """Published events that the journal could not take yet."""
        return len(self._unjournalled)

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
            self._condition.wait_for(lambda: len(self._alarms) < ALARM_QUEUE or not self.is_alive)
            if not self.is_alive:
                raise StateError("the publisher has ended")
            self._alarms.append((event, wall_ns))
            self._condition.notify_all()

    def telemetry(self, event: Published) -> None:
        """Hand over an event that may be dropped: the oldest goes when the queue is full."""
        with self._condition:
            if len(self._telemetry) >= TELEMETRY_QUEUE:
                self._telemetry.popleft()
                self.dropped_telemetry += 1
            self._telemetry.append(event)
            self._condition.notify_all()

    def _run(self) -> None:
        try:
            socket, journal = self._open()
        except EdgedError as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        try:
            self._serve(socket, journal)
        finally:
            journal.close()
            socket.close(linger=_LINGER_MS)
            with self._condition:
                self._condition.notify_all()

    def _open(self) -> tuple[zmq.Socket[bytes], Journal]:
        journal = Journal(self._state_dir, self._settings.journal_max_events)
        self.last_seq = journal.last_seq
        socket: zmq.Socket[bytes] = self._guard.context.socket(zmq.PUB)
        socket.setsockopt(zmq.SNDHWM, self._settings.send_high_water_mark)
        try:
            self._guard.bind(socket, self._endpoint, remote=remote_endpoint(self._settings.bind))
        except EdgedError:
            socket.close(linger=0)
            journal.close()
            raise
        return socket, journal

    def _serve(self, socket: zmq.Socket[bytes], journal: Journal) -> None:
        beat_at_s = time.monotonic()
        while not (self._stopping and not self.queue_depth):
            alarms, telemetry = self._take(beat_at_s)
            numbered = [self._number(event, wall_ns) for event, wall_ns in alarms]
            self._write_journal(journal, numbered)
            for message in [*(event for event, _ in numbered), *telemetry]:
                socket.send_multipart([message.topic.encode(), message.to_json()])
                self.published += 1
            if time.monotonic() >= beat_at_s:
                beat = self._heartbeat()
                socket.send_multipart([beat.topic.encode(), beat.to_json()])
                beat_at_s = time.monotonic() + self._settings.heartbeat_s
        self._write_journal(journal, [], hurry=True)

    def _take(self, beat_at_s: float) -> tuple[list[_Timed], list[Published]]:
        """Wait for events, the next heartbeat or the end; some of what there is."""
        with self._condition:
            wait_s = max(0.0, beat_at_s - time.monotonic())
            self._condition.wait_for(lambda: self.queue_depth or self._stopping, wait_s)
            alarms = [self._alarms.popleft() for _ in range(min(_BATCH, len(self._alarms)))]
            telemetry = [self._telemetry.popleft() for _ in range(min(_BATCH, len(self._telemetry)))]
            self._condition.notify_all()
        return alarms, telemetry

    def _number(self, event: Journalled, wall_ns: int) -> _Timed:
        self.last_seq += 1
        return event.model_copy(update={"seq": self.last_seq, "id": f"{self._boot}-{self.last_seq}"}), wall_ns

    def _write_journal(self, journal: Journal, numbered: list[_Timed], *, hurry: bool = False) -> None:
        """Store what is new and what could not be stored before; a failing journal never silences alarms."""
        self._unjournalled.extend(numbered)
        while len(self._unjournalled) > UNJOURNALLED_KEPT:
            self._unjournalled.popleft()
            self.lost_from_journal += 1
        too_soon = time.monotonic() - self._journal_failed_s < _JOURNAL_RETRY_S
        if not self._unjournalled or (too_soon and not hurry):
            return
        try:
            journal.append(list(self._unjournalled))
        except StateError as error:
            self._journal_failed_s = time.monotonic()
            _log.error("journal: %d events wait in memory: %s", len(self._unjournalled), error)
        else:
            self._unjournalled.clear()

    def _heartbeat(self) -> HeartbeatEvent:
        return HeartbeatEvent(
            boot=self._boot,
            time=rfc3339(self._clock.wall_ns()),
            last_seq=self.last_seq,
            uptime_s=(self._clock.monotonic_ns() - self._started_ns) / NS_PER_S,
            dropped_telemetry=self.dropped_telemetry,
            unjournalled=len(self._unjournalled),
            refused=self._guard.refused(),
            samples=self._samples(),
        )
