"""What one badly behaved subscriber of ten costs the other nine, and the daemon's memory.

    python tests/bench/subscribers.py [--rounds 10] [--flood 8000]

Delays are from handing an event over (it is journalled with a full sync, on a file system in memory) to its arrival at
the nine, 200 events a second. Peer: the same ten with the tenth listening. For `stalled` the two take turns of a second
(SIGSTOP, SIGCONT), as the machine's other work changes all delays; the rest is compared with the first row.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import zmq

from tests.faults.crash_points import fast_directory
from tests.faults.crowd import Crowd

BEHAVIOURS = ("listens", "slow", "vanished", "subscribes")
TURN = 200
COLUMNS = (
    "| the tenth | delay of the nine, median / 99 % | to listening | missed by the nine | memory of the publisher |"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="of a second each, for the delays")
    parser.add_argument("--flood", type=int, default=8000, help="events of 3 kB for the memory")
    options = parser.parse_args()
    print(f"{COLUMNS}\n|---|---:|---:|---:|---:|")
    stalled(options)
    peer_ms = None
    for behaviour in BEHAVIOURS:
        with fast_directory() as directory, Crowd(directory) as crowd:
            crowd.flood(2000)
            settled = crowd.publisher_rss
            crowd.tenth(behaviour)
            paced, flood = crowd.phase(TURN * options.rounds, 1 / TURN), crowd.flood(options.flood)
            peer_ms = peer_ms or paced.p(99)
            show(behaviour, paced.delays_ms, peer_ms, paced.holes + flood.holes, crowd.publisher_rss - settled)
    versions = f"numpy {np.__version__}, libzmq {zmq.zmq_version()}, python {platform.python_version()}"
    print(f"\n{datetime.date.today()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {versions}")
    return 0


def stalled(options: argparse.Namespace) -> None:
    """Turns of listening and standing still."""
    with fast_directory() as directory, Crowd(directory) as crowd:
        crowd.flood(2000)
        settled = crowd.publisher_rss
        crowd.tenth()
        turns: dict[signal.Signals, list[np.ndarray]] = {signal.SIGCONT: [], signal.SIGSTOP: []}
        missed = 0
        for _ in range(options.rounds):
            for number, delays in turns.items():
                crowd.signal_tenth(number)
                turn = crowd.phase(TURN, 1 / TURN)
                delays.append(turn.delays_ms)
                missed += turn.holes
        missed += crowd.flood(options.flood).holes
        peer, ours = (np.concatenate(delays) for delays in turns.values())
        show("listens, in turns with", peer, np.percentile(peer, 99), 0, 0)
        show("stalled", ours, np.percentile(peer, 99), missed, crowd.publisher_rss - settled)


def show(behaviour: str, delays_ms: np.ndarray, peer_ms: float, missed: int, grown_bytes: int) -> None:
    p50, p99 = np.percentile(delays_ms, [50, 99])
    facts = f"{p50:.1f} / {p99:.1f} ms | {p99 / peer_ms:.2f} | {missed} | {grown_bytes / 2**20:+.1f} MiB"
    print(f"| {behaviour} | {facts} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
