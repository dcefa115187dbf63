"""Ten subscribers of one publisher, each side in a process of its own, one of them badly behaved.

    publisher process  --ipc-->  nine that listen (one process), and the tenth (another one)

An event carries the monotonic time at which it was handed over; a delay is from there to its arrival.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import zmq

N_HEALTHY = 9
GIVE_UP_S = 10.0
PORTION = 400
"""Events at once: under half of what the queue of one subscriber holds, however slowly the nine's process is run."""
PADDING = "x" * 3000


@dataclass
class Outcome:
    """What the nine saw of a phase."""

    delays_ms: np.ndarray
    holes: int
    rss_growth_mib: float

    def p(self, percent):
        return float(np.percentile(self.delays_ms, percent))


def publish(state_dir, endpoint, commands):
    """The publisher's process: `(n, pause_s)` publishes; None ends."""
    from edged.config import EventsSettings, SecuritySettings
    from edged.events.publisher import Publisher
    from edged.events.schema import StatusEvent
    from edged.security import SocketGuard

    with zmq.Context() as context:
        settings = EventsSettings(heartbeat_s=0.1, journal_max_mib=4, low_space_mib=0)
        publisher = Publisher(
            SocketGuard(context, SecuritySettings()), endpoint, Path(state_dir), settings=settings, boot="b"
        )
        publisher.start()
        commands.send("ready")
        while (command := commands.recv()) is not None:
            n, pause_s = command
            for _ in range(n):
                stamp = f"{time.monotonic_ns()} {PADDING}"
                event = StatusEvent(boot="b", time="t", stream="a", subject="capture", state="running", reason=stamp)
                publisher.alarm(event, time.time_ns())
                time.sleep(pause_s)
            commands.send("done")
        assert publisher.stop(20.0)


def listen(endpoint, behaviour, report):
    """The tenth: `listens`, or tries what `behaviour` says."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.subscribe(b"")
        socket.connect(endpoint)
        if behaviour == "subscribes":
            for number in range(100_000):
                socket.subscribe(f"{number}{'y' * 200}")
        socket.recv_multipart()
        report.send("heard")
        while True:
            socket.recv_multipart()
            if behaviour == "slow":
                time.sleep(0.05)


class Crowd:
    """The whole of it; closed by `with`."""

    def __init__(self, directory):
        self.endpoint = f"ipc://{directory}/e"
        spawn = multiprocessing.get_context("spawn")
        self._commands, theirs = spawn.Pipe()
        self._publisher = spawn.Process(
            target=publish, args=(str(directory / "state"), self.endpoint, theirs), daemon=True
        )
        self._publisher.start()
        assert self._commands.recv() == "ready"
        self._spawn, self._others = spawn, []
        self._context = zmq.Context()
        self._sockets = [self._context.socket(zmq.SUB) for _ in range(N_HEALTHY)]
        self._poller = zmq.Poller()
        for socket in self._sockets:
            socket.setsockopt(zmq.RCVHWM, 0)  # whatever is missing then was dropped by the publisher
            socket.subscribe(b"")
            socket.connect(self.endpoint)
            self._poller.register(socket, zmq.POLLIN)
        self._last = dict.fromkeys(self._sockets)
        while any(not socket.poll(100) for socket in self._sockets):
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for other in self._others:
            other.kill()
        self._commands.send(None)
        self._publisher.join(20)
        self._context.destroy(linger=0)

    @property
    def publisher_rss(self):
        return psutil.Process(self._publisher.pid).memory_info().rss

    def tenth(self, behaviour="listens"):
        """Bring in the tenth subscriber, which has heard something before it is `stalled` or has `vanished`."""
        ours, theirs = self._spawn.Pipe()
        other = self._spawn.Process(target=listen, args=(self.endpoint, behaviour, theirs), daemon=True)
        other.start()
        self._others.append(other)
        assert ours.recv() == "heard"
        if behaviour == "stalled":
            self.signal_tenth(signal.SIGSTOP)
        elif behaviour == "vanished":
            self.signal_tenth(signal.SIGKILL)
        self.phase(10, 0.01)  # the nine have taken the heartbeats meanwhile

    def signal_tenth(self, number):
        """Stop, continue or kill it."""
        os.kill(self._others[-1].pid, number)

    def phase(self, n, pause_s):
        """Publish n events and collect them at the nine."""
        before = self.publisher_rss
        self._commands.send((n, pause_s))
        delays, holes, got = [], 0, dict.fromkeys(self._sockets, 0)
        arrived_s, is_done = time.monotonic(), False
        while min(got.values()) < n and not (is_done and time.monotonic() - arrived_s > GIVE_UP_S):
            for socket, _ in self._poller.poll(20):
                arrived_ns = time.monotonic_ns()
                event = json.loads(socket.recv_multipart()[1])
                if "seq" not in event:
                    continue
                known, self._last[socket] = self._last[socket], event["seq"]
                holes += known is not None and event["seq"] != known + 1
                if event["stream"] == "a":
                    got[socket] += 1
                    arrived_s = arrived_ns / 1e9
                    delays.append((arrived_ns - int(event["reason"].split()[0])) / 1e6)
            if self._commands.poll():
                is_done = self._commands.recv() == "done"
        if not is_done:
            assert self._commands.recv() == "done"
        return Outcome(np.array(delays), holes, (self.publisher_rss - before) / 2**20)

    def flood(self, n):
        """Publish n events as fast as the nine take them; whoever takes none is behind by all of them."""
        before = self.publisher_rss
        portions = [self.phase(min(PORTION, n - first), 0.0) for first in range(0, max(n, 1), PORTION)]
        delays_ms = np.concatenate([portion.delays_ms for portion in portions])
        holes = sum(portion.holes for portion in portions)
        return Outcome(delays_ms, holes, (self.publisher_rss - before) / 2**20)


def journal_size(directory):
    """(events, bytes of text) that the journal holds."""
    connection = sqlite3.connect(directory / "state" / "edged.db")
    found = connection.execute("SELECT COUNT(*), SUM(LENGTH(body)) FROM journal_events").fetchone()
    connection.close()
    return found
