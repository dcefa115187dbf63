"""A sound server that dies under a real capture child and comes back: PortAudio, ALSA and PulseAudio are real.

``EDGED_SERVER_DEATHS=30`` for the long run.
"""

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.integration.helpers import assert_books_balance, hum, receive_until
from tests.integration.test_virtual_microphone import (
    DEVICE,
    PLAY_RATE_HZ,
    _missing,
    sound_server,
    write_as_played,
)

N_DEATHS = int(os.environ.get("EDGED_SERVER_DEATHS", "3"))
REPORT = bool(os.environ.get("EDGED_DEVICE_REPORT"))
SCHED_RR = os.SCHED_RR

pytestmark = pytest.mark.skipif(bool(_missing()), reason=f"no virtual microphone here: {_missing()}")


def is_capture(*states):
    return lambda event: event.get("subject") == "capture" and event.get("state") in states


def hear_more(subscriber, heard):
    """Samples scored or waiting, once there are more than ``heard``."""

    def received(event):
        return event["samples"]["machine"]["anomaly"]["received"]

    more = receive_until(subscriber, lambda event: event["kind"] == "heartbeat" and received(event) > heard)
    return received(more[-1])


@pytest.fixture
def listening(plant, tmp_path):
    plant.add("machine", {"source": "microphone", "name": DEVICE, "rate_hz": PLAY_RATE_HZ})
    plant.settings["capture"] = {
        "restart_initial_s": 0.1, "restart_max_s": 0.3, "ring_s": 10.0,
    }  # fmt: skip
    normal = tmp_path / "normal"
    normal.mkdir()
    for seed in range(12):
        write_as_played(normal / f"{seed}.wav", hum(3.0, seed))
    plant.enroll("machine", normal)
    write_as_played(tmp_path / "day.wav", np.concatenate([hum(4.0, 50), hum(6.0, 51, fault=True)]))
    return plant


@pytest.mark.timeout(300 + 30 * N_DEATHS)
def test_a_sound_server_that_dies_is_waited_for_and_the_machine_is_heard_again(listening, tmp_path):
    plant = listening
    with ExitStack() as running:
        server = running.enter_context(ExitStack())
        server.enter_context(sound_server(tmp_path, plant.environment))
        daemon = running.enter_context(plant.daemon())
        client = running.enter_context(plant.client(daemon))
        subscriber = running.enter_context(plant.subscriber())
        heard = hear_more(subscriber, 0)
        first = client.call("status")["devices"]["machine"]
        if first["realtime"]:
            assert_every_thread_is_realtime(first["child_pid"])
        for _ in range(N_DEATHS):
            server.close()
            receive_until(subscriber, is_capture("waiting", "absent"))
            (tmp_path / "pulse.sock").unlink(missing_ok=True)
            server.enter_context(sound_server(tmp_path, plant.environment))
            receive_until(subscriber, is_capture("running"))
            heard = hear_more(subscriber, heard)
            assert_books_balance(client.call("status"))
        last_seq = plant.journal()[-1]["seq"]
        player = subprocess.Popen(["paplay", "--device=plant", str(tmp_path / "day.wav")], env=plant.environment)
        running.callback(player.wait)
        running.callback(player.kill)
        receive_until(subscriber, lambda event: event["kind"] == "onset" and event["seq"] > last_seq)
        status = client.call("status")
        client.call("stop")
        assert daemon.wait(5.0) == 0
    device, stream = status["devices"]["machine"], status["streams"]["machine"]
    assert device["restarts"] >= N_DEATHS
    assert stream["samples"]["anomaly"]["missing"] > 0
    assert_books_balance(status)
    assert "ALSA" not in (plant.directory / "log").read_text()
    if REPORT:
        print(f"\n{N_DEATHS} deaths of the server: {device}; {stream['samples']}")


def assert_every_thread_is_realtime(pid):
    """PortAudio's own thread is what must not wait."""
    policies = [os.sched_getscheduler(int(thread.name)) for thread in Path(f"/proc/{pid}/task").iterdir()]
    assert len(policies) > 1
    assert set(policies) == {SCHED_RR}
