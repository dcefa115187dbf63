"""How many streams one computer keeps up with: the real daemon, the shipped bundles, sound at the pace of the clock.

    python -m tests.bench.streams [--streams 16] [--keyword 4] [--channels 4] [--minutes 10]
    python -m tests.bench.streams --search --minutes 2

Anomaly monitors on all streams, a keyword too on some; everything is enrolled, every machine is faulty now and then. A
writer of its own gives the sound of cards with several channels (`paced_writer`): what is not taken in time is lost, as
with a card. Prints a line of JSON for each number of streams; the exit status is 1 if a sample was lost.

    delay           from the end of a segment, as the card heard it, to its event at a subscriber
    waited_percent  of the time, the daemon's threads were ready and had no core (by the kernel's count)
    late_ms         how late the writer itself was

`--search` doubles the streams until sound is lost or stays behind, and then halves the step.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from edged.assembly import open_bundle
from edged.events.subscriber import Subscriber
from edged.frontend import anomaly_spec
from tests.bench.hall_site import Layout, Site
from tests.bench.hall_sound import Span
from tests.bench.paced_writer import RATE_HZ
from tests.integration.helpers import REPOSITORY

SETTLE_S = 15.0
MEASURE_EVERY_S = 2.0
END_WITHIN_S = 60.0
BEHIND_S = 1.0
STEP = 4
MOST = 256
TOLD = (("faults", "onset", "onsets", 10.0), ("words", "keyword", "keywords", 0.5))
"""What is there, the event that tells it, what others are called, and how far off an onset may be: a segment or so."""


@dataclass
class Listener:
    """What a subscriber hears, and when; in a thread of its own."""

    endpoint: str
    heard: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    missed: int = 0

    def __enter__(self) -> Listener:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with Subscriber(self.endpoint, ["score.", "anomaly.", "keyword."]) as subscriber:
            while not self._stop.is_set():
                event = subscriber.receive(0.5)
                if event is not None:
                    self.heard.append((time.monotonic(), event))
            self.missed = subscriber.missed

    def delays_s(self, kind: str, began_s: float) -> list[float]:
        """From the last sample that an event rests on, or a keyword's end, to its arrival."""
        return [at - began_s - _end_s(event) for at, event in self.heard if event["kind"] == kind]


def _end_s(event: dict[str, Any]) -> float:
    if event["kind"] == "keyword":
        return float(event["offset_s"])
    return float(event["sample_end"] / RATE_HZ)


@dataclass
class Costs:
    """What the daemon and its capture children use, from one moment on."""

    daemon: psutil.Process
    children: list[psutil.Process]

    def __post_init__(self) -> None:
        self._began_s, self._spent_s, self._waited_s = time.monotonic(), self._cpu_s(), self._waiting_s()
        self.rss_mib, self.fds, self.threads = [], [], []
        self.look()

    def look(self) -> None:
        """At what may grow."""
        self.rss_mib.append(round(self.daemon.memory_info().rss / 2**20, 1))
        self.fds.append(self.daemon.num_fds())
        self.threads.append(self.daemon.num_threads())

    def figures(self) -> dict[str, Any]:
        """Until now."""
        took_s = time.monotonic() - self._began_s
        spent_s = (now - before for now, before in zip(self._cpu_s(), self._spent_s, strict=True))
        percent = {name: round(100 * s / took_s, 1) for name, s in zip(("daemon", "children"), spent_s, strict=True)}
        return {
            "cpu_percent_of_a_core": percent,
            "waited_percent": round(100 * (self._waiting_s() - self._waited_s) / took_s, 1),
            "rss_mib": [self.rss_mib[0], self.rss_mib[-1]],
            "children_rss_mib": round(sum(child.memory_info().rss for child in self.children) / 2**20, 1),
            "fds": [min(self.fds), max(self.fds)], "threads": [min(self.threads), max(self.threads)],
        }  # fmt: skip

    def _cpu_s(self) -> tuple[float, float]:
        return _cpu_s([self.daemon]), _cpu_s(self.children)

    def _waiting_s(self) -> float:
        tasks = Path(f"/proc/{self.daemon.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[1]) for task in tasks) / 1e9


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def measure(directory: Path, layout: Layout, duration_s: float) -> dict[str, Any]:
    """The figures of one number of streams."""
    site = Site(directory, layout)
    plant = site.plant
    command = [sys.executable, "-m", "tests.bench.paced_writer", str(site.plan(duration_s))]
    waiting_s: list[float] = []
    with plant.daemon() as daemon, plant.client(daemon) as client, Listener(plant.config.events_endpoint) as listener:
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True) as writer:
            assert writer.stdout is not None
            began_s = json.loads(writer.stdout.readline())["began_s"]
            time.sleep(min(SETTLE_S, duration_s / 3))
            process = psutil.Process(daemon.pid)
            costs = Costs(process, process.children())
            while writer.poll() is None and time.monotonic() < began_s + duration_s - MEASURE_EVERY_S:
                time.sleep(MEASURE_EVERY_S)
                waiting_s.append(_waiting_s(client.call("status")))
                costs.look()
            spent = costs.figures()
            written = json.loads(writer.stdout.read())
        status = _at_rest(client, written["frames"] - max(written["lost_frames"]))
        client.call("stop")
        daemon.wait(10.0)
    return {
        "streams": layout.n_streams, "keyword": layout.n_keyword, "cards": len(layout.cards),
        "minutes": round(duration_s / 60, 2), **_books(site, status, written),
        **_events(site, listener, began_s, duration_s), **spent,
        "waiting_s": {"most": max(waiting_s), "at_the_end": min(waiting_s[-5:])},
        "writer": {"cpu_percent": round(100 * written["cpu_s"] / duration_s, 1), "late_ms": written["late_ms"],
                   "realtime": written["realtime"]},
        "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def _waiting_s(status: dict[str, Any]) -> float:
    """Of the stream that has most."""
    return round(max(stream["queued"] for stream in status["streams"].values()) / RATE_HZ, 2)


def _at_rest(client: Any, n_samples: int) -> dict[str, Any]:
    """The status when all is scored or lost; an unfinished one after a while."""
    give_up_s = time.monotonic() + END_WITHIN_S
    while True:
        status: dict[str, Any] = client.call("status")
        books = [book for stream in status["streams"].values() for book in stream["samples"].values()]
        is_done = all(b["pending"] == 0 and b["received"] + b["missing"] >= n_samples for b in books)
        if is_done or time.monotonic() > give_up_s:
            return status
        time.sleep(0.2)


def _books(site: Site, status: dict[str, Any], written: dict[str, Any]) -> dict[str, Any]:
    """Every sample: lost at the card, lost in the daemon, heard and not accounted for."""
    unaccounted, lost, received = 0, 0, 0
    for number in range(site.layout.n_streams):
        at_the_card = written["lost_frames"][site.layout.place(number)[0]]
        for books in status["streams"][f"s{number}"]["samples"].values():
            unaccounted += abs(written["frames"] - at_the_card - books["scored"] - books["lost"])
            lost += books["lost"] + at_the_card
            received += books["received"]
    return {
        "lost_samples": lost, "unaccounted_samples": unaccounted,
        "received_samples": received,
    }  # fmt: skip


def _events(site: Site, listener: Listener, began_s: float, duration_s: float) -> dict[str, Any]:
    """How late they came, and whether what was there was told."""
    n_scores = sum(event["kind"] == "score" for _, event in listener.heard)
    told = {"faults": [0, 0], "words": [0, 0]}
    others = {"onsets": 0, "keywords": 0}
    for number in range(site.layout.n_streams):
        mine = [event for _, event in listener.heard if event["stream"] == f"s{number}"]
        for what, kind, other, margin_s in TOLD:
            spans = site.heard(number, duration_s, words=what == "words")
            onsets_s = [event["onset_s"] for event in mine if event["kind"] == kind]
            whole = [span for span in spans if span.start_s >= 0 and span.end_s <= duration_s]
            told[what][0] += sum(any(_is_in(s, span, margin_s) for s in onsets_s) for span in whole)
            told[what][1] += len(whole)
            others[other] += sum(not any(_is_in(s, span, margin_s) for span in spans) for s in onsets_s)
    spec = anomaly_spec(open_bundle("anomaly"))
    due = _scores_due(round(duration_s * RATE_HZ), spec.segment_samples, spec.hop_samples)
    return {
        "scores_missing": site.layout.n_streams * due - n_scores, "events_missed": listener.missed,
        "delay_ms": {
            name: percentiles_ms(listener.delays_s(kind, began_s))
            for name, kind in (("score", "score"), ("onset", "onset"), ("keyword", "keyword"))
        },
        **{name: f"{found} of {there}" for name, (found, there) in told.items()}, "others": others,
    }  # fmt: skip


def _is_in(onset_s: float, span: Span, margin_s: float) -> bool:
    return span.start_s - margin_s <= onset_s <= span.end_s + margin_s


def _scores_due(n_samples: int, segment_samples: int, hop_samples: int) -> int:
    """Whole segments, and the one that ends with the sound if anything is left."""
    left = n_samples - segment_samples
    return 1 + -(-left // hop_samples) if left > 0 else 1


def percentiles_ms(delays_s: list[float]) -> dict[str, int]:
    """How many; median, 99 % and the longest."""
    shares = {"p50": 50, "p99": 99, "max": 100} if delays_s else {}
    return {"n": len(delays_s)} | {name: round(1000 * float(np.percentile(delays_s, p))) for name, p in shares.items()}


def keeps_up(found: dict[str, Any]) -> bool:
    """Whether nothing was lost, and nothing waits longer and longer."""
    nothing_lost = not (found["lost_samples"] or found["unaccounted_samples"] or found["events_missed"])
    return nothing_lost and bool(found["waiting_s"]["at_the_end"] < BEHIND_S)


def largest(keeps_up_with: Callable[[int], bool], begin: int, step: int = STEP, most: int = MOST) -> int:
    """The largest number that does, by doubling and then halving, to within a step; 0 if not even a step does."""
    good, bad, n = 0, most + step, begin
    while bad - good > step:
        if keeps_up_with(n):
            good = n
        else:
            bad = n
        n = min(2 * n, most) if bad > most else good + max(step, (bad - good) // 2 // step * step)
    return good


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--keyword", type=int, default=4, help="streams that listen for a word too")
    parser.add_argument("--channels", type=int, default=4, help="of a card")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each number of streams")
    parser.add_argument("--search", action="store_true", help="for the largest number, beginning with --streams")
    parser.add_argument("--step", type=int, default=STEP, help="of the search, at last")
    chosen = parser.parse_args()

    def run(n_streams: int) -> bool:
        layout = Layout(n_streams, min(chosen.keyword, n_streams), chosen.channels)
        with tempfile.TemporaryDirectory() as directory:
            found = measure(Path(directory), layout, 60 * chosen.minutes)
        print(f"{datetime.now(timezone.utc):%Y-%m-%d} {json.dumps(found)}", flush=True)
        return keeps_up(found)

    if not chosen.search:
        return 0 if run(chosen.streams) else 1
    print(f"largest: {largest(run, chosen.streams, chosen.step)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
