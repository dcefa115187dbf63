"""The bridge's own books, without a broker."""

import logging

import pytest

from edged.config import Config
from edged.events.cursor import Position

pytest.importorskip("paho.mqtt", reason="paho-mqtt is missing: pip install 'edged[mqtt]'")
from edged.bridge.link import LinkError
from edged.bridge.run import CURSOR_NAME, MqttBridge, _Connection
from edged.bridge.topics import Message


@pytest.fixture
def bridge(tmp_path):
    streams = {name: {"device": "mic", "monitors": ["keyword"]} for name in ("a", "b", "c")}
    config = {
        "state_dir": str(tmp_path), "devices": {"mic": {"source": "file", "path": "x.wav"}}, "streams": streams,
        "mqtt": {"host": "127.0.0.1", "tls": False, "device": "hall"},
    }  # fmt: skip
    return MqttBridge(Config.model_validate(config))


class EndingLink:
    """Takes one message, acknowledges it, and is lost."""

    def publish(self, _message):
        return 1

    def turn(self, _wait_s):
        raise LinkError("ended the connection")

    def take_acknowledged(self):
        return [1]


def test_what_is_acknowledged_as_the_connection_ends_is_not_sent_again(bridge):
    connection = _Connection(bridge, EndingLink(), None)
    connection._send([Message("t", b"")], Position(7, "j"))
    with pytest.raises(LinkError):
        connection._turn(0.0)
    assert bridge._position == Position(7, "j")


def test_a_disk_that_refuses_the_cursor_ends_no_bridge(bridge, tmp_path, caplog):
    """The service died of a full disk, and again a second after each start: no alarm went out any more."""
    (tmp_path / CURSOR_NAME).mkdir()
    with caplog.at_level(logging.WARNING):
        bridge.acknowledged(Position(7, "j"))
    assert "going on without" in caplog.text
    (tmp_path / CURSOR_NAME).rmdir()
    bridge._save()
    assert bridge._cursor.load() == Position(7, "j")


def test_a_daemon_that_does_not_answer_is_asked_once_not_for_every_stream(bridge, monkeypatch):
    asked = []
    monkeypatch.setattr(bridge, "ask", lambda *question: asked.append(question))
    kinds = [message.topic.split("/")[1] for message in bridge.described()]
    assert len(asked) == 1
    assert kinds == []
