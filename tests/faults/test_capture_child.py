"""Capture children that are killed, and one that chatters: real processes under a real daemon.

``EDGED_CAPTURE_KILLS=200`` for the long run.
"""

import os
import signal
import sys
import time

import numpy as np
import psutil
import pytest
import soundfile

from edged.capture.source import SourceSpec
from edged.capture.spawn import ChildProcess
from tests.integration.helpers import RATE_HZ, assert_books_balance, hum, receive_until

N_KILLS = int(os.environ.get("EDGED_CAPTURE_KILLS", "5"))
REPORT = bool(os.environ.get("EDGED_DEVICE_REPORT"))
LOOP_S = 40.0
FAULT_S = 4.0


@pytest.fixture
def press(plant, normal_clips, tmp_path):
    """A file played again and again in real time; in each round there is one fault."""
    sound = np.concatenate([hum(LOOP_S - FAULT_S, 7), hum(FAULT_S, 8, fault=True)])
    soundfile.write(tmp_path / "day.wav", sound, RATE_HZ, subtype="FLOAT")
    plant.add("press", {"source": "file", "path": str(tmp_path / "day.wav"), "loop": True, "speed": 4.0})
    plant.settings["capture"] = {"restart_initial_s": 0.05, "restart_max_s": 0.1, "ring_s": 10.0}
    plant.settings["clips"] = {"anomaly": False}
    plant.settings["events"]["scores"] = False
    plant.enroll("press", normal_clips)
    return plant


def is_state(state):
    return lambda event: event.get("state") == state and event.get("subject") == "capture"


@pytest.mark.timeout(300 + 10 * N_KILLS)
def test_a_child_killed_again_and_again_costs_what_is_declared_and_nothing_else(press):
    """Samples in = scored + lost, to the sample; the daemon keeps no process, pipe or thread of the dead."""
    with press.daemon() as daemon, press.client(daemon) as client, press.subscriber() as subscriber:
        receive_until(subscriber, is_state("running"))
        process, sizes, away_s = psutil.Process(daemon.pid), [], []
        for _ in range(N_KILLS):
            os.kill(client.call("status")["devices"]["press"]["child_pid"], signal.SIGKILL)
            killed_s = time.monotonic()
            receive_until(subscriber, is_state("waiting"))
            receive_until(subscriber, is_state("running"))
            away_s.append(time.monotonic() - killed_s)
            sizes.append((process.num_fds(), process.num_threads(), len(process.children())))
            status = client.call("status")
            assert_books_balance(status)
        n_before = len([event for event in press.journal() if event["kind"] == "onset"])
        events = receive_until(subscriber, lambda event: event["kind"] == "onset")
        status = client.call("status")
    books = status["streams"]["press"]["samples"]["anomaly"]
    heard = status["streams"]["press"]["heard"]
    assert status["devices"]["press"]["restarts"] == N_KILLS
    assert status["devices"]["press"]["state"] == "running"
    assert 0 <= heard - books["received"] - books["missing"] <= 3 * RATE_HZ  # what waits for the worker
    assert (np.max(sizes, axis=0) - sizes[0] <= [3, 1, 0]).all()
    assert len([event for event in press.journal() if event["kind"] == "onset"]) > n_before
    assert events[-1]["lost_samples"] <= books["lost"]
    if REPORT:
        away = f"away {np.median(away_s):.2f} s (median), {max(away_s):.2f} s at most"
        print(f"\n{N_KILLS} kills, {away}; {books}; fds, threads, children: {sizes[0]} -> {sizes[-1]}")


CHATTER = """
import sys
for n in range(20000):
    print(f"ALSA lib pcm_dmix.c:{n}:(snd_pcm_dmix_open) unable to open slave " + "x" * 200, file=sys.stderr)
sys.stderr.write("no newline at the end " + "y" * 100010)
"""


def test_what_sound_libraries_chatter_is_kept_short_and_out_of_the_log(monkeypatch, capfd):
    """5 MB on standard error: the child is not held up, the daemon keeps the end of it."""
    monkeypatch.setattr("edged.capture.spawn.child_command", lambda *_: [sys.executable, "-c", CHATTER])
    before_mib = psutil.Process().memory_info().rss / 2**20
    child = ChildProcess(SourceSpec("microphone", "x"))
    assert child.read(60.0) is None
    words = child.end()
    assert words.endswith("y" * 20)
    assert len(words) < 600
    assert psutil.Process().memory_info().rss / 2**20 - before_mib < 5
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_a_pipe_outlives_those_who_write_to_it(plant, normal_clips, tmp_path):
    """What ffmpeg or arecord write is heard again after they were started anew; the time between is declared lost."""
    pipe = tmp_path / "pcm"
    os.mkfifo(pipe)
    plant.add("press", {"source": "pcm", "path": str(pipe), "encoding": "f32le"})
    plant.settings["capture"] = {"restart_initial_s": 0.05, "restart_max_s": 0.1}
    plant.enroll("press", normal_clips)
    with plant.daemon() as daemon, plant.client(daemon) as client, plant.subscriber() as subscriber:
        assert client.call("status")["devices"]["press"]["state"] == "starting"
        for n_writers in (1, 2, 3):
            pipe.write_bytes(hum(2.0, n_writers).tobytes())
            receive_until(subscriber, is_state("running"))
            receive_until(subscriber, is_state("absent"))
        status = client.call("status")
        assert status["devices"]["press"]["reason"].startswith(f"{pipe}: its writer has closed it")
        assert_books_balance(status)
        assert status["streams"]["press"]["heard"] >= 3 * 2.0 * RATE_HZ
        assert status["devices"]["press"]["lost_frames"] > 0
