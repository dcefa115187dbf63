"""A daemon that other computers can reach: only the listed keys are served, and each only what it may do."""

import shutil
import socket
import subprocess
import sys
from functools import partial

import pytest
import soundfile

from edged.control.client import ControlClient
from edged.errors import ControlError
from edged.events.subscriber import CurveClient, Subscriber
from edged.security.keyring import Keyring
from edged.security.keys import new_pair, write_pair
from tests.integration.helpers import RATE_HZ, hum, receive_until


@pytest.fixture
def keyring(tmp_path):
    made = Keyring(tmp_path / "keys")
    made.init(force=False)
    made.add("panel", "listen")
    made.add("boss", "control")
    write_pair(tmp_path / "keys" / "clients" / "stranger.key_secret", new_pair())
    return made


def curve(keyring, name):
    return CurveClient(keyring.server_public, keyring.directory / "clients" / f"{name}.key_secret")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def reachable(plant, keyring, tmp_path):
    """A plant whose daemon others can reach; endpoints of its events and its control."""
    soundfile.write(tmp_path / "day.wav", hum(5), RATE_HZ)
    plant.add("press", {"source": "file", "path": str(tmp_path / "day.wav"), "loop": True})
    ports = {"events": free_port(), "control": free_port()}
    for section, port in ports.items():
        plant.settings.setdefault(section, {})["bind"] = f"tcp://0.0.0.0:{port}"
    plant.settings["security"] = {
        "server_secret_key": str(keyring.server_secret),
        "allowed_clients": str(keyring.allowed),
    }
    return tuple(f"tcp://127.0.0.1:{port}" for port in ports.values())


def first_line_of(program, keyring, name, environment):
    """What the program that `keys add` prints says first, for scores and on this computer, beside its two key files."""
    program = program.replace(socket.gethostname(), "127.0.0.1").replace('"anomaly.", "keyword."', '"score."')
    place = keyring.directory.parent / name
    place.mkdir()
    for path in (keyring.server_public, keyring.directory / "clients" / f"{name}.key_secret"):
        shutil.copy2(path, place)
    command = [sys.executable, "-u", "-c", program]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, env=environment) as process:
        try:
            return process.stdout.readline()
        finally:
            process.kill()


def test_keys_say_who_is_served_and_what_each_may_do(plant, keyring, reachable, normal_clips):
    events, control = reachable
    panel = curve(keyring, "panel")
    with plant.daemon() as process, Subscriber(events, control_endpoint=control, after_seq=0, curve=panel) as listener:
        receive_until(listener, lambda event: event.get("state") == "running")
        with ControlClient(control, curve=panel) as client:
            assert client.call("status")["devices"]["press"]["state"] == "running"
            for verb in ("stop", "reload", "enroll", "transfer.begin"):
                with pytest.raises(ControlError, match=r"may listen, not control; .*edged keys add"):
                    client.call(verb)
        for keys in (curve(keyring, "stranger"), None):
            with ControlClient(control, curve=keys) as client, pytest.raises(ControlError, match="no daemon"):
                client.call("status")
            with Subscriber(events, curve=keys) as deaf:
                assert deaf.receive(0.6) is None
        beat = receive_until(
            listener, lambda event: event["kind"] == "heartbeat" and event["refused"]["requests_forbidden"] == 4
        )[-1]
        assert beat["refused"]["keys"] >= 1

        # commands on the device need no key; what changes takes effect at once
        assert plant.call("status", "--json")
        plant.call("enroll", "--clips", normal_clips, "--stream", "press")
        plant.call("keys", "remove", "panel")
        n_before = sum(
            1 for _ in iter(partial(listener.receive, 2.0), None)
        )  # what was sent before; then nothing, not even heartbeats
        assert n_before < 1000
        assert b"score" in first_line_of(plant.call("keys", "add", "late"), keyring, "late", plant.environment)
        with Subscriber(events, curve=curve(keyring, "late")) as late:
            receive_until(late, lambda event: event["kind"] == "heartbeat")
        with ControlClient(control, curve=curve(keyring, "boss")) as client:
            assert client.call("references.show", {"stream": "press"})["monitors"]["anomaly"]["version"] == 1
            client.call("stop")
        assert process.wait(30.0) == 0


def test_clips_and_archives_go_over_the_socket(plant, keyring, reachable, normal_clips, tmp_path):
    """The daemon need not have the right to read what the operator can: it is given the bytes."""
    with plant.daemon() as process, plant.client(process) as client:
        enrolled = plant.call("enroll", "--clips", normal_clips, "--stream", "press")
        assert "12 clips added" in enrolled
        plant.call("references", "export", "--stream", "press", "--out", tmp_path / "bank")
        assert "imported" in plant.call("references", "import", tmp_path / "bank", "--stream", "press")
        assert client.call("status")["streams"]["press"]["banks"]["anomaly"] in {1, 2}
        again = plant.run("references", "export", "--stream", "press", "--out", tmp_path / "bank")
        assert b"exists already" in again.stderr
        (tmp_path / "short.wav").write_bytes(b"RIFF")
        refused = plant.run("enroll", "--clips", tmp_path / "short.wav", "--stream", "press")
        assert refused.returncode == 1
        assert b"short.wav" in refused.stderr
        assert b"transfers" not in refused.stderr
        assert not list((tmp_path / "state" / "transfers").iterdir())
