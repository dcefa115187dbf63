"""Running the real `edged` command, and the sounds it hears."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import yaml

from edged.assembly import Assembly
from edged.config import Config
from edged.control.client import running_daemon
from edged.embed.bundle import Manifest, RepresentationSpec, write_bundle
from edged.events.journal import read_journal
from edged.events.subscriber import Subscriber
from edged.features.anomaly import AnomalySpec
from edged.references.enroll import enroll_paths
from edged.references.store import BankStore

REPOSITORY = Path(__file__).resolve().parents[2]
RATE_HZ = 16000
START_TIMEOUT_S = 60.0
ALL_EVENTS = 1_000_000


def hum(seconds, seed=0, fault=False):
    """A machine: harmonics of 50 Hz in noise; its fault is a whine and knocks."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = sum(np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6)) / k for k in range(1, 12))
    sound = 0.05 * sound + 0.02 * rng.standard_normal(len(t))
    if fault:
        sound += 0.1 * np.sin(2 * np.pi * 3100 * t) * (1 + np.sign(np.sin(2 * np.pi * 7 * t)))
    return sound.astype(np.float32)


def write_small_bundle(directory, hop_samples=4096):
    """Segments of 1 s, scored by statistics alone: quick to enrol and to decide."""
    spec = AnomalySpec(segment_samples=16000, hop_samples=hop_samples, inputs=())
    manifest = Manifest(
        kind="anomaly", id="small", version="1", segment_samples=16000, hop_samples=hop_samples,
        features=spec.model_dump(mode="json"), features_digest=spec.digest(),
        representations=(RepresentationSpec(name="statistics", source="features", dim=384, backend="density"),),
        score_direction="higher_is_more_anomalous",
    )  # fmt: skip
    return write_bundle(directory, manifest).directory


class Plant:
    """A configuration in a directory of its own, and the commands on it."""

    def __init__(self, directory, bundle):
        self.directory = directory
        self.bundle = str(bundle)
        self.settings = {
            "state_dir": str(directory / "state"),
            "devices": {},
            "streams": {},
            "events": {"heartbeat_s": 0.2},
        }
        self.environment = {**os.environ, "PYTHONPATH": _python_path()}

    def add(self, stream, device, monitors=None):
        anomaly = {"bundle": self.bundle, "onset_segments": 2, "onset_window": 3, "threshold": 10.0}
        self.settings["devices"][stream] = device
        self.settings["streams"][stream] = {"device": stream, "monitors": monitors or {"anomaly": anomaly}}

    @property
    def config(self):
        return Config.model_validate(self.settings)

    @property
    def config_file(self):
        path = self.directory / "edged.yaml"
        path.write_text(yaml.safe_dump(self.settings), encoding="utf-8")
        return path

    def command(self, *arguments):
        return [sys.executable, "-m", "edged.cli.main", *map(str, arguments), "--config", str(self.config_file)]

    def run(self, *arguments, stdin=None):
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments), env=self.environment, input=stdin, capture_output=True, timeout=120, check=False
        )

    def call(self, *arguments):
        """Run a command that must succeed; its standard output."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    @contextmanager
    def daemon(self):
        """`edged run`, ready; killed at the end if it still runs."""
        log = (self.directory / "log").open("a")
        process = subprocess.Popen(self.command("run"), env=self.environment, stderr=log)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            log.close()

    def client(self, process):
        """A client of the daemon once it answers."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            assert process.poll() is None, (self.directory / "log").read_text()
            client = running_daemon(self.config.control_endpoint)
            if client is not None:
                return client
            process_ended = _wait_briefly(process)
            assert not process_ended, (self.directory / "log").read_text()
        raise AssertionError("the daemon does not answer")

    def subscriber(self, topics=("",)):
        return Subscriber(self.config.events_endpoint, topics, self.config.control_endpoint, after_seq=0)

    def enroll(self, stream, clips, keyword=None, channel=0):
        """Enrol a directory of clips, without a command's start-up time."""
        with BankStore(self.config.state_path) as store:
            enroll_paths(Assembly(self.config), store, stream, [clips], keyword=keyword, channel=channel)

    def journal(self):
        return read_journal(self.config.state_path, limit=ALL_EVENTS)


def _python_path():
    """This repository, whatever is installed."""
    return os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))


def _wait_briefly(process):
    """Give the daemon a moment; whether it ended instead."""
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return False
    return True


def receive_until(subscriber, wanted, timeout_s=60.0):
    """Events up to the first for which ``wanted`` holds."""
    deadline_s, seen = time.monotonic() + timeout_s, []
    while time.monotonic() < deadline_s:
        event = subscriber.receive(deadline_s - time.monotonic())
        if event is not None:
            seen.append(event)
            if wanted(event):
                return seen
    raise AssertionError(f"never came; seen: {[(e['kind'], e.get('stream'), e.get('state')) for e in seen]}")


def receive_books(subscriber, stream):
    """The books of a stream whose end has been scored."""

    def is_at_rest(event):
        return event["kind"] == "heartbeat" and all(b["pending"] == 0 for b in event["samples"][stream].values())

    receive_until(subscriber, lambda event: event.get("state") == "ended")
    return receive_until(subscriber, is_at_rest)[-1]["samples"][stream]


def assert_books_balance(status):
    for stream in status["streams"].values():
        for books in stream["samples"].values():
            assert books["received"] == books["scored"] + books["dropped"] + books["pending"]
            assert books["lost"] == books["missing"] + books["dropped"]
