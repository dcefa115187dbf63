"""A daemon that other computers can reach: only the listed keys are served."""

import socket

import pytest
import soundfile
import zmq.auth

from edged.control.client import ControlClient
from edged.errors import ControlError
from edged.events.subscriber import CurveClient, Subscriber
from tests.integration.helpers import RATE_HZ, hum, receive_until


@pytest.fixture
def keys(tmp_path):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    for name in ("server", "friend", "stranger"):
        zmq.auth.create_certificates(tmp_path, name)
        (tmp_path / f"{name}.key_secret").chmod(0o600)
    (tmp_path / "friend.key").rename(allowed / "friend.key")
    return tmp_path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_listed_client_is_served_and_a_stranger_hears_nothing(plant, keys, tmp_path):
    soundfile.write(tmp_path / "day.wav", hum(5), RATE_HZ)
    plant.add("press", {"source": "file", "path": str(tmp_path / "day.wav"), "loop": True})
    ports = {"events": free_port(), "control": free_port()}
    for section, port in ports.items():
        plant.settings.setdefault(section, {})["bind"] = f"tcp://0.0.0.0:{port}"
    plant.settings["security"] = {
        "server_secret_key": str(keys / "server.key_secret"),
        "allowed_clients": str(keys / "allowed"),
    }
    events, control = (f"tcp://127.0.0.1:{port}" for port in ports.values())
    friend = CurveClient(keys / "server.key", keys / "friend.key_secret")
    stranger = CurveClient(keys / "server.key", keys / "stranger.key_secret")
    with plant.daemon(), Subscriber(events, control_endpoint=control, after_seq=0, curve=friend) as subscriber:
        receive_until(subscriber, lambda event: event.get("state") == "running")
        with ControlClient(control, curve=friend) as client:
            assert client.call("status")["devices"]["press"]["state"] == "running"
        for keyring in (stranger, None):
            with (
                ControlClient(control, curve=keyring) as client,
                pytest.raises(ControlError, match="no daemon"),
            ):
                client.call("status")
            with Subscriber(events, curve=keyring) as deaf:
                assert deaf.receive(0.6) is None
