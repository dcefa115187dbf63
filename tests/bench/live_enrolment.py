"""Enrolment on a busy daemon: 100 clips of ten seconds while eight streams are scored in real time.

    python tests/bench/live_enrolment.py [--streams 8] [--clips 100]
    python tests/bench/live_enrolment.py --word [--streams 8]

Eight channels of one device, anomaly monitors on all, keywords on two; then `edged enroll` through the running daemon.
Says how long it took, what was lost, and how much later scores came meanwhile than before; one hop (2.56 s) is what a
new bank may delay an event by. Exits with 1 if a sample was lost or an event came later than that.

With `--word` a stream hears a word every three seconds; it is enrolled from three clips of other voices. Says how long
the command took and how long the daemon, and at which utterance after the answer the word was first reported. Exits
with 1 if that is not the next one, or the command took more than 2 s.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import soundfile
import yaml
from runtime import cpu_s, daemon, edged, hum, machine

from edged.control.client import running_daemon
from edged.control.transfer import sent_files
from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from edged.events.subscriber import Subscriber
from edged.flow import SAMPLE_RATE_HZ

HOP_S = 2.56
KEYWORD_STREAMS = 2
BASELINE_S = 40.0
AFTER_S = 15.0
SETTLE_S = 14.0


def prepare(directory, n_streams, n_clips):
    """Sounds, clips and a configuration; its path."""
    names = [f"s{number}" for number in range(n_streams)]
    sound = np.stack([hum(60, number) for number in range(n_streams)], axis=1)
    soundfile.write(directory / "plant.wav", sound, SAMPLE_RATE_HZ, subtype="PCM_16")
    monitors = [["anomaly", "keyword"] if number < KEYWORD_STREAMS else ["anomaly"] for number in range(n_streams)]
    settings = {
        "state_dir": str(directory / "state"),
        "devices": {"card": {"source": "file", "path": str(directory / "plant.wav"), "loop": True}},
        "streams": {
            name: {"device": "card", "channel": number, "monitors": monitors[number]}
            for number, name in enumerate(names)
        },
    }
    for folder, count, first_seed in (("normal", 12, 100), ("more", n_clips, 1000)):
        (directory / folder).mkdir()
        for clip in range(count):
            path = directory / folder / f"{clip}.wav"
            soundfile.write(path, hum(10, first_seed + clip), SAMPLE_RATE_HZ, subtype="PCM_16")
    (directory / "words").mkdir()
    for word in ENROLMENT_CLIPS:
        path = directory / "words" / f"{word}.wav"
        soundfile.write(path, 0.05 * spoken_clip(word), SAMPLE_RATE_HZ, subtype="FLOAT")
    config = directory / "edged.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    for number, name in enumerate(names):
        enroll(config, name, directory / "normal")
        if number < KEYWORD_STREAMS:
            enroll(config, name, directory / "words", "--keyword", "word")
    return config


def enroll(config, stream, clips, *more):
    """Seconds that `edged enroll` took, as its user sees it."""
    started_s = time.monotonic()
    command = edged(config, "enroll", "--stream", stream, "--clips", str(clips), *more)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started_s


class Listener:
    """Notes when every score arrived and how long after its segment was heard; in a thread of its own."""

    def __init__(self, directory):
        self.arrivals = []  # (monotonic time of arrival, delay, stream, bank version)
        self._endpoint = f"ipc://{directory}/state/events.sock"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        """End."""
        self._stop.set()
        self._thread.join()

    def delays_s(self, first_s, last_s):
        """Delays of what arrived in between."""
        return np.array([delay for at, delay, *_ in self.arrivals if first_s <= at < last_s])

    def _run(self):
        with Subscriber(self._endpoint, ["score."]) as subscriber:
            while not self._stop.is_set():
                event = subscriber.receive(0.5)
                if event is not None:
                    heard_s = datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()
                    self.arrivals.append((time.monotonic(), time.time() - heard_s, event["stream"], event["bank"]))


def measure(directory, n_streams, n_clips):
    """All figures."""
    config = prepare(directory, n_streams, n_clips)
    with daemon(directory, config):
        listener = Listener(directory)
        time.sleep(SETTLE_S)
        started_s = time.monotonic()
        time.sleep(BASELINE_S)
        enrolled_from_s = time.monotonic()
        took_s = enroll(config, "s0", directory / "more")
        enrolled_s = time.monotonic()
        time.sleep(AFTER_S)
        listener.stop()
        status = json.loads(subprocess.run(edged(config, "status", "--json"), check=True, capture_output=True).stdout)
    before = listener.delays_s(started_s, enrolled_from_s)
    during = listener.delays_s(enrolled_from_s, enrolled_s + HOP_S)
    new = [at for at, _, stream, bank in listener.arrivals if stream == "s0" and bank > 1]
    return {
        "streams": n_streams,
        "clips": n_clips,
        "enrolment_s": round(took_s, 2),
        "first_score_with_the_new_bank_after_s": round(min(new) - enrolled_s, 2),
        "lost_samples": sum(book["lost"] for s in status["streams"].values() for book in s["samples"].values()),
        "scores_during": len(during),
        "delay_before_ms": percentiles_ms(before),
        "delay_during_ms": percentiles_ms(during),
        "later_than_before_s": round(float(during.max() - np.median(before)), 3),
    }


WORD, EVERY_S, N_SPOKEN = "maintenance", 3.0, 60
SPOKEN = tuple(f"{WORD}-{number}" for number in (1, 2, 3, 4))


def hall(seconds):
    """The word every `EVERY_S`, by voices that are not enrolled: float32 (n,)."""
    sound = 1e-4 * np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
    for number in range(int(seconds / EVERY_S) - 1):
        clip, first = spoken_clip(SPOKEN[number % len(SPOKEN)]), round((number + 1) * EVERY_S * SAMPLE_RATE_HZ)
        sound[first : first + len(clip)] += np.float32(0.05) * clip
    return sound


def measure_word(directory, n_streams):
    """Figures of a word that is enrolled while all streams are scored; the last stream hears it."""
    config = prepare(directory, n_streams, 0)
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    soundfile.write(directory / "hall.wav", hall(N_SPOKEN * EVERY_S), SAMPLE_RATE_HZ, subtype="FLOAT")
    settings["devices"]["hall"] = {"source": "file", "path": str(directory / "hall.wav")}
    settings["streams"]["hall"] = {"device": "hall", "monitors": ["keyword"]}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    topics = ["keyword.hall."]
    with (
        daemon(directory, config) as (process, _),
        Subscriber(f"ipc://{directory}/state/events.sock", topics) as events,
    ):
        time.sleep(SETTLE_S)
        with running_daemon(f"ipc://{directory}/state/control.sock") as client:
            spent_s = cpu_s([process]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            took_s = enroll(config, "hall", directory / "words", "--keyword", WORD)
            status = client.call("status")
            command_cpu_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - spent_s[1]
            daemon_cpu_s = cpu_s([process]) - spent_s[0]
            heard_s = status["streams"]["hall"]["samples"]["keyword"]["received"] / SAMPLE_RATE_HZ
            first = events.receive(10 * EVERY_S)
            started_s = time.monotonic()
            with sent_files(client, sorted((directory / "words").iterdir())) as transfer:
                client.call("enroll", {"stream": "hall-2", "keyword": WORD, "transfer": transfer})
            answered_s = time.monotonic() - started_s
    coming_s = EVERY_S * (heard_s // EVERY_S + 1)
    return {
        "streams": n_streams + 1,
        "command_s": round(took_s, 2),
        "command_cpu_s": round(command_cpu_s, 2),
        "daemon_cpu_s_meanwhile": round(daemon_cpu_s, 2),
        "by_the_socket_s": round(answered_s, 2),
        "utterances_missed_after_the_answer": max(0, round((first["onset_s"] - coming_s) / EVERY_S)) if first else None,
        "lost_samples": sum(book["lost"] for s in status["streams"].values() for book in s["samples"].values()),
        "load": round(os.getloadavg()[0], 1),
    }


def percentiles_ms(delays_s):
    """Median, 99 % and the longest."""
    return {
        name: round(1000 * float(np.percentile(delays_s, p))) for name, p in (("p50", 50), ("p99", 99), ("max", 100))
    }


def main():
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--word", action="store_true", help="enrol a word")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if arguments.word:
            figures = measure_word(Path(directory), arguments.streams)
            print(f"{datetime.now(timezone.utc):%Y-%m-%d} {json.dumps(figures)} [{machine()}]")
            missed = figures["utterances_missed_after_the_answer"]
            sys.exit(int(missed is None or missed > 0 or figures["command_s"] > 2.0 or figures["lost_samples"] > 0))
        figures = measure(Path(directory), arguments.streams, arguments.clips)
    print(f"{datetime.now(timezone.utc):%Y-%m-%d} {json.dumps(figures)} [{machine()}]")
    sys.exit(int(figures["lost_samples"] > 0 or figures["later_than_before_s"] > HOP_S))


if __name__ == "__main__":
    main()
