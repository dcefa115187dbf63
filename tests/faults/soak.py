"""Days of sound in minutes: four streams of one real daemon, every sample counted, and what the process grows by.

    python -m tests.faults.soak [--hours 24]

A generator writes raw PCM of four channels into a FIFO as fast as the daemon takes it, and knows how much it wrote. The
monitors score a second at a time by statistics, without a network; one fault of 10 s each 10 minutes, on every channel
in turn. Prints one JSON line; the exit status is 1 if a sample is unaccounted for or a fault was not told.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import soundfile

from tests.integration.helpers import RATE_HZ, Plant, hum, write_small_bundle

N_STREAMS = 4
LOOP_S = 40
CHUNK_S = 10
FAULT_EVERY_S = 600
WARM_SHARE = 0.25
MEASURE_EVERY_S = 0.5
GIVE_UP_S = 60.0
HOP_SAMPLES = 31 * 512  # the longest of whole frames in a second


def plant_in(directory):
    """Four streams of one device, all enrolled."""
    plant = Plant(directory, write_small_bundle(directory / "small", hop_samples=HOP_SAMPLES))
    device = {"source": "pcm", "path": str(directory / "pcm"), "channels": N_STREAMS, "encoding": "f32le"}
    device["reopen"] = False
    os.mkfifo(directory / "pcm")
    plant.add("s0", device)
    for n in range(N_STREAMS):
        monitors = plant.settings["streams"]["s0"]["monitors"]
        plant.settings["streams"][f"s{n}"] = {"device": "s0", "channel": n, "monitors": monitors}
    plant.settings |= {"capture": {"ring_s": 10.0, "block_ms": 500}, "clips": {"anomaly": False}}
    (directory / "normal").mkdir()
    for seed in range(12):
        soundfile.write(directory / "normal" / f"{seed}.wav", hum(3.0, seed), RATE_HZ, subtype="FLOAT")
    for n in range(N_STREAMS):
        plant.enroll(f"s{n}", directory / "normal")
    return plant


class Writer(threading.Thread):
    """Writes the sound of all channels, interleaved; ``frames`` is what is in the FIFO or beyond."""

    def __init__(self, path, duration_s):
        super().__init__(daemon=True)
        self.frames, self.n_faults = 0, 0
        self._path, self._n_chunks = path, round(duration_s / CHUNK_S)
        normal = hum(LOOP_S, 7).reshape(LOOP_S // CHUNK_S, -1)
        self._normal = [np.repeat(piece[:, np.newaxis], N_STREAMS, axis=1) for piece in normal]
        self._fault = hum(CHUNK_S, 8, fault=True)

    def run(self):
        with self._path.open("wb", buffering=0) as fifo:
            for chunk in range(self._n_chunks):
                self._write(fifo, self._chunk(chunk))

    def _chunk(self, number):
        frames = self._normal[number % len(self._normal)]
        period, within = divmod(number, FAULT_EVERY_S // CHUNK_S)
        if within != FAULT_EVERY_S // CHUNK_S // 2:
            return frames
        self.n_faults += 1
        frames = frames.copy()
        frames[:, period % N_STREAMS] = self._fault
        return frames

    def _write(self, fifo, frames):
        view = memoryview(np.ascontiguousarray(frames, "<f4")).cast("B")
        while view:
            view = view[fifo.write(view) :]
        self.frames += len(frames)


def slope_per_h(hours, values):
    """Least squares over what comes after the warm-up."""
    hours, values = np.array(hours), np.array(values, float)
    late = hours >= WARM_SHARE * hours[-1]
    return round(float(np.polyfit(hours[late], values[late], 1)[0]), 3) if late.sum() > 2 else None


def soak(directory, duration_s):
    """The figures of one run."""
    plant = plant_in(directory)
    writer = Writer(directory / "pcm", duration_s)
    hours, rss_kib, fds, threads = [], [], [], []
    with plant.daemon() as daemon, plant.client(daemon) as client:
        process = psutil.Process(daemon.pid)
        began_s, before_s = time.monotonic(), sum(process.cpu_times())
        writer.start()
        idle_since_s, last = began_s, None
        while not at_rest(status := client.call("status"), writer) and time.monotonic() - idle_since_s < GIVE_UP_S:
            assert daemon.poll() is None, (directory / "log").read_text()
            if status["streams"] != last:
                idle_since_s, last = time.monotonic(), status["streams"]
            hours.append(status["streams"]["s0"]["heard"] / RATE_HZ / 3600)
            rss_kib.append(process.memory_info().rss / 1024)
            fds.append(process.num_fds())
            threads.append(process.num_threads())
            time.sleep(MEASURE_EVERY_S)
        took_s = time.monotonic() - began_s
        cpu_s = sum(process.cpu_times()) - before_s
        books = {name: stream["samples"]["anomaly"] for name, stream in status["streams"].items()}
        client.call("stop")
        daemon.wait(10.0)
    onsets = [event for event in plant.journal() if event["kind"] == "onset"]
    unaccounted = {name: writer.frames - b["scored"] - b["lost"] for name, b in books.items()}
    return {
        "hours": round(duration_s / 3600, 3), "streams": N_STREAMS, "times_real_time": round(duration_s / took_s, 1),
        "times_real_time_of_a_cpu_second": round(duration_s / cpu_s, 1),
        "written_per_stream": writer.frames, "unaccounted": unaccounted,
        "lost": {name: b["lost"] for name, b in books.items()},
        "faults": writer.n_faults, "onsets": len(onsets),
        "rss_mib": [round(rss_kib[0] / 1024, 1), round(rss_kib[-1] / 1024, 1)],
        "rss_mib_in_time": [round(rss_kib[at] / 1024, 1) for at in np.linspace(0, len(rss_kib) - 1, 25).astype(int)],
        "rss_kib_per_simulated_h": slope_per_h(hours, rss_kib),
        "fds": [min(fds), max(fds)], "fds_per_h": slope_per_h(hours, fds),
        "threads": [min(threads), max(threads)], "threads_per_h": slope_per_h(hours, threads),
        "load_average": os.getloadavg()[0], "cores": os.cpu_count(),
    }  # fmt: skip


def at_rest(status, writer):
    """Whether all that was written is scored or lost."""
    if writer.is_alive() or status["devices"]["s0"]["state"] != "ended":
        return False
    books = [stream["samples"]["anomaly"] for stream in status["streams"].values()]
    return all(b["received"] + b["missing"] >= writer.frames and b["pending"] == 0 for b in books)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0, help="hours of sound in each stream")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = soak(Path(directory), arguments.hours * 3600)
    print(json.dumps(found))
    return 1 if any(found["unaccounted"].values()) or found["faults"] != found["onsets"] else 0


if __name__ == "__main__":
    sys.exit(main())
