"""The pure parts of the bridge."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.bridge.backoff import MOST_S, Backoff
from edged.bridge.secrets import read_password, tls_context
from edged.bridge.topics import Topics, identifier, level
from edged.bridge.translate import Liveness, Translator
from edged.bridge.window import Window
from edged.config import MqttSettings
from edged.errors import ConfigError
from edged.events.cursor import Position

TOPICS = Topics("edged", "hall")


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_name_is_one_level_without_wildcards_and_names_stay_apart(one, other):
    for name in (one, other):
        assert 0 < len(level(name)) <= 200
        assert not set(level(name)) & set("/+#\0 $")
        assert set(identifier(name)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    assert (level(one) == level(other)) == (one == other)
    assert (identifier(one) == identifier(other)) == (one == other)


@given(st.permutations(range(12)))
def test_the_cursor_moves_in_the_order_of_events_however_they_are_acknowledged(order):
    window = Window(4)
    for event in range(4):
        window.sent(Position(event), {3 * event, 3 * event + 1, 3 * event + 2})
    assert window.is_full
    done, reached = set(), -1
    for number in order:
        window.acknowledged(number)
        done.add(number)
        position = window.take_position()
        reached = position.seq if position else reached
        whole = [event for event in range(4) if {3 * event, 3 * event + 1, 3 * event + 2} <= done]
        assert reached == max([e for e in whole if set(range(e + 1)) <= set(whole)], default=-1)
    assert len(window) == 0


def test_pauses_double_up_to_a_cap_with_jitter_and_begin_anew_after_success():
    backoff = Backoff(random.Random(1))
    pauses = [backoff.next_s() for _ in range(20)]
    for number, pause in enumerate(pauses):
        most = min(MOST_S, 2.0**number)
        assert most / 2 <= pause <= most
    assert len({round(pause, 6) for pause in pauses[-10:]}) == 10
    backoff.worked()
    assert backoff.next_s() <= 1.0


def test_a_silent_daemon_is_told_of_once_and_its_return_too():
    liveness = Liveness("t", 0.0)
    beat = {"kind": "heartbeat", "every_s": 10.0}
    assert [m.payload for m in liveness.heard(beat, 1.0)] == [b"online"]
    assert liveness.heard(beat, 11.0) == []
    assert liveness.tick(40.9) == []
    assert [m.payload for m in liveness.tick(41.1)] == [b"offline"]
    assert liveness.tick(100.0) == []
    assert liveness.heard({"kind": "onset", "seq": 3}, 101.0) == []  # may be of the past
    assert [m.payload for m in liveness.heard(beat, 102.0)] == [b"online"]


@pytest.mark.parametrize("every_s", [10**400, float("inf"), float("nan"), -1.0, True, "10", None])
def test_a_heartbeat_that_says_nonsense_of_the_next_is_one_all_the_same(every_s):
    """A number without end ended the bridge, and an infinite one kept a dead daemon online for ever."""
    liveness = Liveness("t", 0.0)
    assert [m.payload for m in liveness.heard({"kind": "heartbeat", "every_s": every_s}, 1.0)] == [b"online"]
    assert [m.payload for m in liveness.tick(20.0)] == [b"offline"]


@pytest.mark.parametrize("state", ["ready", "safe mode"])
def test_a_new_life_of_the_daemon_has_no_alarm_that_lasts(state):
    translator = Translator(TOPICS, 0.0)
    translator.know({"a"})
    told = translator.messages({"kind": "onset", "monitor": "anomaly", "stream": "b", "seq": 1}, 0.0)
    assert [(m.topic, m.retain) for m in told] == [
        ("edged/hall/anomaly/b", False),
        ("edged/hall/anomaly/b/state", True),
    ]
    begun = {"kind": "status", "monitor": "status", "stream": "edged", "subject": "daemon", "state": state, "seq": 2}
    states = {m.topic: m.payload for m in translator.messages(begun, 0.0) if m.retain}
    assert states == {"edged/hall/anomaly/a/state": b"OFF", "edged/hall/anomaly/b/state": b"OFF"}


@pytest.mark.parametrize("state", [["ready"], {}, None, "stopped"])
def test_a_daemon_that_says_something_else_of_itself_is_no_new_life(state):
    """What cannot be looked up in a set ended the bridge."""
    translator = Translator(TOPICS, 0.0)
    translator.know({"a"})
    said = {"kind": "status", "monitor": "status", "stream": "edged", "subject": "daemon", "state": state, "seq": 2}
    assert [message.retain for message in translator.messages(said, 0.0)] == [False]


def test_drift_is_an_event_and_no_alarm():
    told = Translator(TOPICS, 0.0).messages({"kind": "drift", "monitor": "anomaly", "stream": "a"}, 0.0)
    assert [message.topic for message in told] == ["edged/hall/anomaly/a"]


def test_a_score_is_sent_now_and_then_and_never_where_none_are_wanted():
    score = {"kind": "score", "monitor": "anomaly", "stream": "a", "score": 1.0}
    often = Translator(TOPICS, 10.0)
    sent = [now for now in range(100) if often.messages(score, float(now))]
    assert sent == list(range(0, 100, 10))
    assert Translator(TOPICS, 0.0).messages(score, 0.0) == []


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [("secret\n", 0o640, "chmod 600"), ("", 0o600, "no password"), ("\nx", 0o600, "no password"),
     ("x" * 5000, 0o600, "no password")],
)  # fmt: skip
def test_a_password_file_that_cannot_be_trusted_is_refused(tmp_path, text, mode, message):
    path = tmp_path / "password"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=message):
        read_password(path)


def test_a_password_is_the_first_line_and_absent_files_are_named(tmp_path):
    path = tmp_path / "password"
    path.write_text("se cret\nmore")
    path.chmod(0o600)
    assert read_password(path) == "se cret"
    with pytest.raises(ConfigError, match="nowhere"):
        read_password(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="no file"):
        read_password(tmp_path)
    with pytest.raises(ConfigError, match="certificates cannot be used"):
        tls_context(MqttSettings(host="broker.example", ca_file=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("facts", "message"),
    [({"host": "broker.example", "tls": False}, "in clear"), ({"password_file": "x"}, "needs a user"),
     ({"certificate": "x"}, "belong together"), ({"tls": False, "ca_file": "x"}, "for TLS"),
     ({"topic_prefix": "a/#"}, "pattern"), ({"topic_prefix": "/a"}, "pattern")],
)  # fmt: skip
def test_settings_that_would_be_unsafe_or_make_no_sense_are_refused(facts, message):
    with pytest.raises(ValueError, match=message):
        MqttSettings.model_validate(facts)
