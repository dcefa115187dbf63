"""Raw PCM as a sound card gives it: at the pace of the clock, and lost where nobody takes it in time.

    python -m tests.bench.paced_writer PLAN.json

The plan names FIFOs, a loop of int16 frames (.npy) for each, where in it to begin, and for how long. Prints one line of
JSON when sound begins and one at the end. A card does not wait for a processor, so this asks for real-time priority.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

RATE_HZ = 16000
PERIOD_FRAMES = 640  # what a microphone's child is given at once (`capture.block_ms`)


@dataclass(frozen=True)
class Card:
    """Attributes: loop: .npy, int16 (n_frames, n_channels), whole periods; first: of its periods, heard first."""

    fifo: str
    loop: str
    first: int = 0


@dataclass
class _Line:
    """A FIFO that is written to."""

    fd: int
    periods: Sequence[memoryview]
    first: int
    rest: memoryview = field(default=memoryview(b""))
    lost_periods: int = 0

    def write(self, number: int) -> None:
        """A period, unless there is no room; what was begun is ended first, so that channels keep their places."""
        self._write_rest()
        if self.rest:
            self.lost_periods += 1
            return
        self.rest = self.periods[(self.first + number) % len(self.periods)]
        n_bytes = len(self.rest)
        self._write_rest()
        if len(self.rest) == n_bytes:
            self.rest = memoryview(b"")
            self.lost_periods += 1

    def _write_rest(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.rest:
                self.rest = self.rest[os.write(self.fd, self.rest) :]

    def close(self) -> None:
        os.set_blocking(self.fd, True)
        self._write_rest()
        os.close(self.fd)


def opened(card: Card) -> _Line:
    """Waits until somebody reads."""
    loop = np.load(card.loop)
    if len(loop) % PERIOD_FRAMES:
        raise ValueError(f"{card.loop}: whole periods of {PERIOD_FRAMES} frames are needed")
    data = memoryview(np.ascontiguousarray(loop, "<i2")).cast("B")
    size = PERIOD_FRAMES * loop.shape[1] * 2
    fd = os.open(card.fifo, os.O_WRONLY)
    os.set_blocking(fd, False)
    return _Line(fd, [data[at : at + size] for at in range(0, len(data), size)], card.first)


def write(cards: Sequence[Card], duration_s: float) -> None:
    """All cards at once, from the first period to the last."""
    lines = [opened(card) for card in cards]
    n_periods = round(duration_s * RATE_HZ / PERIOD_FRAMES)
    late_s, period_s = np.zeros(n_periods), PERIOD_FRAMES / RATE_HZ
    is_realtime = _ask_for_realtime()
    began_s, spent_s = time.monotonic(), time.process_time()
    print(json.dumps({"began_s": began_s}), flush=True)
    for number in range(n_periods):
        due_s = began_s + (number + 1) * period_s  # a period is there when its last sample is
        while (wait_s := due_s - time.monotonic()) > 0:
            time.sleep(wait_s)
        late_s[number] = -wait_s
        for line in lines:
            line.write(number)
    spent_s = time.process_time() - spent_s
    for line in lines:
        line.close()
    p99_s, most_s = np.percentile(late_s, (99, 100))
    figures = {
        "frames": n_periods * PERIOD_FRAMES,
        "lost_frames": [line.lost_periods * PERIOD_FRAMES for line in lines],
        "late_ms": {"p99": round(1000 * p99_s, 1), "max": round(1000 * most_s, 1)},
        "cpu_s": round(spent_s, 2), "realtime": is_realtime,
    }  # fmt: skip
    print(json.dumps(figures), flush=True)


def write_plan(path: Path, cards: Sequence[Card], duration_s: float) -> None:
    """For `main`."""
    path.write_text(json.dumps({"cards": [asdict(card) for card in cards], "duration_s": duration_s}))


def _ask_for_realtime() -> bool:
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        return True
    return False


def main() -> None:
    """By a plan."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    write([Card(**card) for card in plan["cards"]], plan["duration_s"])


if __name__ == "__main__":
    main()
