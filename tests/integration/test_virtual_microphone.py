"""The whole path with a virtual microphone: sound played into PulseAudio, captured through PortAudio, heard as events.

The left channel is a machine that fails, the right one a hall where a word is spoken: two streams of one device.
"""

import ctypes.util
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from tests.integration.helpers import RATE_HZ, assert_books_balance, hum, receive_until

PLAY_RATE_HZ = 48000
FAULT_S, WORD_S, END_S = 14.0, 8.0, 24.0
HALL_LEVEL, WORD_LEVEL = 0.002, 0.05
SPOKEN = "maintenance-1"
DEVICE = "pulse"


def _missing():
    """What this computer lacks for a virtual microphone."""
    if not shutil.which("pulseaudio") or not shutil.which("paplay"):
        return "apt install pulseaudio pulseaudio-utils"
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        return "apt install libasound2-plugins"
    if not ctypes.util.find_library("portaudio"):
        return "apt install libportaudio2"
    if not importlib.util.find_spec("sounddevice"):
        return "pip install 'edged[microphone]'"
    return ""


pytestmark = pytest.mark.skipif(bool(_missing()), reason=f"no virtual microphone here: {_missing()}")


@contextmanager
def sound_server(directory, environment):
    """PulseAudio with one sink that nobody hears; its monitor is the microphone."""
    socket = directory / "pulse.sock"
    environment |= {"XDG_RUNTIME_DIR": str(directory), "HOME": str(directory), "PULSE_SERVER": f"unix:{socket}"}
    modules = (
        f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
        f"module-null-sink sink_name=plant rate={PLAY_RATE_HZ} channels=2",
    )
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--log-target=stderr"]
    with (directory / "pulse.log").open("w") as log:
        server = subprocess.Popen([*command, *(f"--load={module}" for module in modules)], env=environment, stderr=log)
        try:
            _wait_until_it_answers(server, environment, directory / "pulse.log")
            yield
        finally:
            server.kill()
            server.wait()


def _wait_until_it_answers(server, environment, log):
    deadline_s = time.monotonic() + 20.0
    while subprocess.run(["pactl", "info"], env=environment, capture_output=True, check=False).returncode:
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline_s, log.read_text()


def write_as_played(path, sound):
    """At the rate of the sound system, so that clips and microphone pass the same resampler."""
    played = soxr.resample(sound, RATE_HZ, PLAY_RATE_HZ)
    soundfile.write(path, played, PLAY_RATE_HZ, subtype="PCM_16")


@pytest.fixture
def day(tmp_path):
    """Stereo: a machine that fails at FAULT_S, and a hall where a word is spoken at WORD_S."""
    machine = np.concatenate([hum(FAULT_S, 50), hum(END_S - FAULT_S, 51, fault=True)])
    hall = HALL_LEVEL * np.random.default_rng(0).standard_normal(len(machine)).astype(np.float32)
    word = WORD_LEVEL * spoken_clip(SPOKEN)
    at = round(WORD_S * RATE_HZ)
    hall[at : at + len(word)] += word
    write_as_played(tmp_path / "day.wav", np.stack([machine, hall], axis=1))
    return tmp_path / "day.wav"


@pytest.fixture
def listening(plant, tmp_path):
    """Two streams of one device, both enrolled."""
    plant.add("machine", {"source": "microphone", "name": DEVICE, "rate_hz": PLAY_RATE_HZ})
    plant.settings["streams"]["hall"] = {"device": "machine", "channel": 1, "monitors": ["keyword"]}
    normal, words = tmp_path / "normal", tmp_path / "words"
    normal.mkdir()
    words.mkdir()
    for seed in range(12):
        write_as_played(normal / f"{seed}.wav", hum(3.0, seed))
    for name in ENROLMENT_CLIPS:
        write_as_played(words / f"{name}.wav", WORD_LEVEL * spoken_clip(name))
    plant.enroll("machine", normal)
    plant.enroll("hall", words, keyword="maintenance")
    return plant


def test_sound_in_events_out_and_a_killed_capture_moves_nothing(listening, day, tmp_path):
    """The word is heard; then the capture child is killed; the fault is still found where it is."""
    plant = listening
    with sound_server(tmp_path, plant.environment), plant.daemon() as process, plant.client(process) as client:
        player = subprocess.Popen(["paplay", "--device=plant", str(day)], env=plant.environment)
        began_s = time.time()
        with plant.subscriber() as subscriber:
            word = receive_until(subscriber, lambda event: event["kind"] == "keyword")[-1]
            before = client.call("status")
            os.kill(before["devices"]["machine"]["child_pid"], signal.SIGKILL)
            receive_until(subscriber, lambda event: event.get("state") == "waiting")
            onset = receive_until(subscriber, is_fault_after(word))[-1]
            after = client.call("status")
        client.call("stop")
        assert process.wait(5.0) == 0
        player.kill()
        player.wait()
    assert (word["stream"], word["keyword"]) == ("hall", "maintenance")
    assert word["score"] >= word["threshold"]
    assert seconds_after(began_s, word) == pytest.approx(WORD_S + 1.0, abs=1.5)
    assert seconds_after(began_s, onset) == pytest.approx(FAULT_S + 1.0, abs=2.0)
    assert stream_began_s(onset) == pytest.approx(stream_began_s(word), abs=0.3)
    assert [lost_samples(status) for status in (before, after)] == [0, pytest.approx(2 * RATE_HZ, abs=2 * RATE_HZ)]
    assert lost_samples(after) > 0
    assert_books_balance(before)
    assert_books_balance(after)


def is_fault_after(word):
    """An onset later than the word: the silence before the player began sounds abnormal too."""
    return lambda event: event["kind"] == "onset" and event["time"] > word["time"]


def lost_samples(status):
    return status["streams"]["machine"]["samples"]["anomaly"]["missing"]


def stream_began_s(event):
    """When the stream's sample 0 was heard, by this event."""
    return seconds_after(0.0, event) - event["sample_end"] / RATE_HZ


def seconds_after(began_s, event):
    """When the last sample an event rests on was heard, since the sound began."""
    return datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp() - began_s


def test_the_device_is_listed_and_a_missing_one_is_reported_while_the_daemon_lives(plant, tmp_path):
    plant.add("machine", {"source": "microphone", "name": "Snowball"})
    with sound_server(tmp_path, plant.environment):
        listed = json.loads(subprocess.run([*plant.command("devices", "--json")[:-2]], env=plant.environment,
                                           capture_output=True, check=True).stdout)  # fmt: skip
        assert DEVICE in [device["stable_name"] for device in listed]
        with plant.daemon() as process, plant.client(process) as client, plant.subscriber() as subscriber:
            event = receive_until(subscriber, lambda event: event.get("state") == "absent")[-1]
            assert "microphone 'Snowball' is not there; inputs now:" in event["reason"]
            client.call("stop")
            assert process.wait(5.0) == 0
