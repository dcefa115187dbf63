"""A real daemon in real time: what it and its capture children use, and how long after a segment its score comes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from edged.bench.processes import Memory, children_of, cpu_s, memory
from edged.config import Config
from edged.control.client import ControlClient
from edged.errors import EdgedError
from edged.events.subscriber import Subscriber
from edged.flow import SAMPLE_RATE_HZ

READY_WITHIN_S = 60.0
STOP_WITHIN_S = 10.0
_ANSWER_WITHIN_S = 30.0


class RehearsalError(EdgedError):
    """The bench's daemon did not run as it should."""


@dataclass(frozen=True)
class Rehearsed:
    """What was seen of a daemon.

    Attributes:
        daemon_load, children_load: processor time for a second of real time.
        done: share of the sound of that time that the worker got through; below 1 the daemon was given too little time.
        delays_s: from the end of a segment, as its last sample was heard, to its score at a subscriber.
        lost_samples: of all streams and monitors.
        waiting_s: sound that waited for the worker at the end, of the stream that had most.
    """

    streams: int
    seconds: float
    ready_s: float
    daemon_load: float
    children_load: float
    done: float
    daemon: Memory
    child: Memory
    delays_s: tuple[float, ...]
    lost_samples: int
    waiting_s: float


def rehearse(config: Config, directory: Path, settle_s: float, seconds: float) -> Rehearsed:
    """Run a daemon on a configuration, and look at it once it is under way.

    Args:
        settle_s: before the measurement, for the longest segment to be heard.

    Raises:
        RehearsalError: it does not become ready.
    """
    path = directory / "rehearsal.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    with (
        _daemon(path, directory) as (process, ready_s),
        ControlClient(config.control_endpoint, _ANSWER_WITHIN_S) as ask,
    ):
        time.sleep(settle_s)
        children = children_of(process.pid)
        begun_s, daemon_s, children_s = time.monotonic(), cpu_s([process.pid]), cpu_s(children)
        before = ask.call("status")
        delays_s = _score_delays_s(config, seconds)
        took_s = time.monotonic() - begun_s
        daemon_s, children_s = cpu_s([process.pid]) - daemon_s, cpu_s(children) - children_s
        status = ask.call("status")
        done = (_received_s(status) - _received_s(before)) / took_s / len(config.streams)
        memories = [memory(child) for child in children]
        return Rehearsed(
            len(config.streams), took_s, ready_s, daemon_s / took_s, children_s / took_s, done, memory(process.pid),
            max(memories, key=lambda one: one.private, default=Memory(0.0, 0.0, 0.0)), tuple(delays_s),
            _lost(status) - _lost(before),
            max(stream["queued"] for stream in status["streams"].values()) / SAMPLE_RATE_HZ,
        )  # fmt: skip


@contextmanager
def _daemon(config: Path, directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A running daemon, and how long it took to be ready; it is ended afterwards."""
    address, said = directory / "ready", directory / "daemon.log"
    command = [sys.executable, "-m", "edged.cli.main", "run", "--config", str(config)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, said.open("wb") as log:
        manager.bind(str(address))
        manager.settimeout(0.5)
        began_s = time.monotonic()
        process = subprocess.Popen(
            command, env={**os.environ, "NOTIFY_SOCKET": str(address)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            while not _is_ready(manager):
                if process.poll() is not None or time.monotonic() > began_s + READY_WITHIN_S:
                    raise RehearsalError(f"the bench's daemon does not start: {_last_line(said)}")
            yield process, time.monotonic() - began_s
        finally:
            _end(process)
            address.unlink()


def _is_ready(manager: socket.socket) -> bool:
    try:
        return b"READY=1" in manager.recv(4096)
    except TimeoutError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it says nothing"


def _score_delays_s(config: Config, seconds: float) -> list[float]:
    """Listen for so long."""
    delays_s, until_s = [], time.monotonic() + seconds
    with Subscriber(config.events_endpoint, ["score."]) as subscriber:
        while (left_s := until_s - time.monotonic()) > 0:
            event = subscriber.receive(left_s)
            if event is not None:
                heard = datetime.fromisoformat(str(event["time"]).replace("Z", "+00:00"))
                delays_s.append(time.time() - heard.timestamp())
    return delays_s


def _received_s(status: dict[str, Any]) -> float:
    """Seconds of sound that the worker took, of all streams together."""
    books = (min(one["received"] for one in stream["samples"].values()) for stream in status["streams"].values())
    return float(sum(books)) / SAMPLE_RATE_HZ


def _lost(status: dict[str, Any]) -> int:
    return sum(books["lost"] for stream in status["streams"].values() for books in stream["samples"].values())
