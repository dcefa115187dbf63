"""What the daemon costs: resident memory, start-to-ready time and CPU share with both default bundles on two streams.

    python tests/bench/runtime.py [--seconds 60]

The streams are files played in real time through real capture children. Prints one dated line for the README.
"""

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil
import soundfile
import yaml

from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from edged.events.subscriber import Subscriber
from edged.flow import SAMPLE_RATE_HZ

STREAMS = ("press", "pump")
READY_TIMEOUT_S = 60.0
SETTLE_S = 15.0


def hum(seconds, seed):
    """Something machine-like: float32 (n,)."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tones = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 12))
    return (0.05 * tones + 0.02 * rng.standard_normal(len(t))).astype(np.float32)


def prepare(directory):
    """Sounds, clips, a configuration; its path."""
    settings = {"state_dir": str(directory / "state"), "devices": {}, "streams": {}}
    for number, name in enumerate(STREAMS):
        soundfile.write(directory / f"{name}.wav", hum(60, number), SAMPLE_RATE_HZ, subtype="PCM_16")
        settings["devices"][name] = {"source": "file", "path": str(directory / f"{name}.wav"), "loop": True}
        settings["streams"][name] = {"device": name, "monitors": ["anomaly", "keyword"]}
        normal, words = directory / f"{name}-normal", directory / f"{name}-words"
        normal.mkdir()
        words.mkdir()
        for clip in range(12):
            soundfile.write(normal / f"{clip}.wav", hum(10, 100 * number + clip), SAMPLE_RATE_HZ, subtype="PCM_16")
        for word in ENROLMENT_CLIPS:
            soundfile.write(words / f"{word}.wav", 0.05 * spoken_clip(word), SAMPLE_RATE_HZ, subtype="FLOAT")
    config = directory / "edged.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return config


def edged(config, *arguments):
    """The command line of `edged`."""
    return [sys.executable, "-m", "edged.cli.main", *arguments, "--config", str(config)]


def enroll(directory, config):
    """Normal sound and a word on every stream."""
    for name in STREAMS:
        clips = edged(config, "enroll", "--stream", name, "--clips", str(directory / f"{name}-normal"))
        words = edged(
            config, "enroll", "--stream", name, "--keyword", "word", "--clips", str(directory / f"{name}-words")
        )
        subprocess.run(clips, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def daemon(directory, config):
    """(process, seconds from start to READY=1)."""
    address = str(directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(READY_TIMEOUT_S)
        started_s = time.monotonic()
        process = psutil.Popen(edged(config, "run"), env={**os.environ, "NOTIFY_SOCKET": address})
        try:
            while b"READY=1" not in manager.recv(4096):
                pass
            yield process, time.monotonic() - started_s
        finally:
            process.terminate()
            process.wait(10)


def cpu_s(processes):
    """CPU seconds spent so far."""
    return sum(sum(p.cpu_times()[:2]) for p in processes)


def resident_mib(process):
    """(RSS, USS) in MiB."""
    memory = process.memory_full_info()
    return memory.rss / 2**20, memory.uss / 2**20


def score_delays_s(directory, seconds):
    """For ``seconds``: how long after the last sample of a segment was heard its score reached a subscriber."""
    delays_s, until_s = [], time.monotonic() + seconds
    with Subscriber(f"ipc://{directory}/state/events.sock", ["score."]) as subscriber:
        while (left_s := until_s - time.monotonic()) > 0:
            event = subscriber.receive(left_s)
            if event is not None:
                heard = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
                delays_s.append(time.time() - heard.timestamp())
    return delays_s


def measure(directory, seconds):
    """All figures."""
    config = prepare(directory)
    enroll(directory, config)
    with daemon(directory, config) as (process, ready_s):
        time.sleep(SETTLE_S)  # the first segment of 10 s is scored by then
        children = process.children()
        everybody = [process, *children]
        begun_s, spent_s = time.monotonic(), cpu_s(everybody)
        daemon_s = cpu_s([process])
        delays_s = score_delays_s(directory, seconds)
        lasted_s = time.monotonic() - begun_s
        status = json.loads(subprocess.run(edged(config, "status", "--json"), check=True, capture_output=True).stdout)
        return {
            "start_to_ready_s": round(ready_s, 2),
            "daemon_rss_mib": round(resident_mib(process)[0]),
            "daemon_uss_mib": round(resident_mib(process)[1]),
            "child_uss_mib": [round(resident_mib(child)[1]) for child in children],
            "cpu_share_of_one_core": round((cpu_s(everybody) - spent_s) / lasted_s, 3),
            "daemon_cpu_share": round((cpu_s([process]) - daemon_s) / lasted_s, 3),
            "score_delay_ms": {f"p{p}": round(1000 * float(np.percentile(delays_s, p))) for p in (50, 99)},
            "threads": process.num_threads(),
            "open_files": process.num_fds(),
            "lost_samples": {n: {m: b["lost"] for m, b in s["samples"].items()} for n, s in status["streams"].items()},
        }


def machine():
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "onnxruntime", "pyzmq"))
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long CPU is measured, in real time")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as directory:
        figures = measure(Path(directory), seconds)
    print(f"{datetime.now(timezone.utc):%Y-%m-%d} {json.dumps(figures)} [{machine()}]")


if __name__ == "__main__":
    main()
