"""`kill -9` of the capture child during `edged run`: the gap is declared, scoring goes on, no sample index is wrong."""

import os
import signal

import numpy as np
import soundfile

from tests.integration.helpers import RATE_HZ, assert_books_balance, hum, receive_books, receive_until

N_KILLS = 3
DURATION_S = 40.0


def is_score_after(sample):
    return lambda event: event["kind"] == "score" and event["sample_start"] >= sample


def test_scoring_goes_on_after_kill_9_with_the_gap_declared_and_every_index_right(plant, normal_clips, tmp_path):
    """The fault begins at a known sample; its onset must be found there although the stream was torn before."""
    onset_s = 24.0
    sound = np.concatenate([hum(onset_s, 7), hum(DURATION_S - onset_s, 8, fault=True)])
    soundfile.write(tmp_path / "day.wav", sound, RATE_HZ, subtype="FLOAT")
    plant.add("press", {"source": "file", "path": str(tmp_path / "day.wav"), "speed": 2.0})
    plant.settings |= {"capture": {"restart_initial_s": 0.1, "block_ms": 20}}
    plant.enroll("press", normal_clips)
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber() as subscriber:
        reached = 0
        for _ in range(N_KILLS):
            reached = receive_until(subscriber, is_score_after(reached))[-1]["sample_end"]
            os.kill(client.call("status")["devices"]["press"]["child_pid"], signal.SIGKILL)
            receive_until(subscriber, lambda event: event.get("state") == "waiting")
            receive_until(subscriber, lambda event: event.get("state") == "running")
        onset = receive_until(subscriber, lambda event: event["kind"] == "onset")[-1]
        status = client.call("status")
        books = receive_books(subscriber, "press")["anomaly"]
    assert status["devices"]["press"]["restarts"] == N_KILLS
    assert_books_balance(status)
    assert abs(onset["onset_s"] - onset_s) < 1.1
    assert 0 < onset["lost_samples"] < onset_s * RATE_HZ
    assert books["received"] + books["missing"] == len(sound)
