"""The bridge's own books, without a broker."""

import logging
from types import SimpleNamespace

import pytest

from edged.config import Config
from edged.events.cursor import CursorFile, Position

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


def test_where_a_first_run_begins_is_kept_before_it_sends_anything(bridge, tmp_path, monkeypatch):
    """One that was killed before anything was acknowledged began anew, and skipped what had come meanwhile."""
    found = []

    def live():
        found.append(CursorFile(tmp_path / CURSOR_NAME).load())
        bridge.stop()

    monkeypatch.setattr(bridge, "ask", lambda *_: {"last_seq": 5, "journal": "j"})
    monkeypatch.setattr(bridge, "_live", live)
    bridge.run()
    assert found == [Position(5, "j")]


def test_so_is_where_it_begins_when_the_daemon_came_later(bridge, tmp_path):
    bridge.started_at(Position(6, "j"))
    bridge.started_at(Position(9, "j"))
    assert CursorFile(tmp_path / CURSOR_NAME).load() == Position(6, "j")


def test_a_daemon_that_does_not_answer_is_asked_once_not_for_every_stream(bridge, monkeypatch):
    asked = []
    monkeypatch.setattr(bridge, "ask", lambda *question: asked.append(question))
    described, is_all = bridge.described()
    assert len(asked) == 1
    assert (described, is_all) == ([], False)


class KeepingLink:
    """A broker that keeps what is retained, and tells it to who asks."""

    def __init__(self, *found):
        self.kept, self._found = dict.fromkeys(found, b"{}"), set(found)

    def publish(self, message):
        if message.payload:
            self.kept[message.topic] = message.payload
        else:
            self.kept.pop(message.topic)
        return 1

    def take_found(self):
        found, self._found = self._found, set()
        return found


def test_words_and_streams_that_are_gone_are_removed_from_home_assistant(bridge, monkeypatch):
    # they stayed there for ever
    words = {"stop": 3, "go": 3}
    monkeypatch.setattr(bridge, "ask", lambda *_: {"monitors": {"keyword": {"labels": words}}} if words else None)
    old = "homeassistant/event/edged_hall/old_keyword_stop/config"  # of a stream of an earlier configuration
    link = KeepingLink(old)
    connection = _Connection(bridge, link, SimpleNamespace(missed=0))

    def looked():
        connection._look_at_s = 0.0
        for _ in range(2):
            connection._look()
        return set(link.kept)

    described = {
        f"homeassistant/event/edged_hall/{stream}_keyword_{word}/config" for stream in "abc" for word in ("stop", "go")
    }
    assert looked() == described
    words = {}  # a daemon that does not answer has not lost its words
    assert looked() == described
    words = {"go": 3}
    assert looked() == {topic for topic in described if "stop" not in topic}
    words = {"go": 3, "stop": 3}
    assert looked() == described
