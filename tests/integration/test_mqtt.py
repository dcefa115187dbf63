"""`edged bridge mqtt` against a real mosquitto: order, absence, last will, TLS and secrets, Home Assistant."""

import json
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest
import zmq

from edged.clock import FakeClock, rfc3339
from edged.config import Config, ControlSettings, EventsSettings, SecuritySettings
from edged.control.server import ControlServer
from edged.events.publisher import Publisher
from edged.events.replay import replay
from edged.events.schema import AnomalyEvent, BundleRef, KeywordEvent, ScoreEvent
from edged.security import SocketGuard
from tests.integration.broker import Broker, Ear, make_certificates, needs_mosquitto

pytest.importorskip("paho.mqtt", reason="paho-mqtt is missing: pip install 'edged[mqtt]'")
from edged.bridge.backoff import Backoff
from edged.bridge.link import LinkError
from edged.bridge.run import CURSOR_NAME, MqttBridge

pytestmark = needs_mosquitto


class QuickBackoff(Backoff):
    """Soon again, once it may: a test that counts what an ear hears lets the ear be there first."""

    def __init__(self):
        super().__init__()
        self.may_go = threading.Event()
        self.may_go.set()

    def next_s(self):
        assert self.may_go.wait(60.0)
        return min(0.2, super().next_s())


def wait_until(is_so, timeout_s=30.0):
    deadline_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def configuration(tmp_path, port, **mqtt):
    stream = {"device": "mic", "monitors": ["anomaly", "keyword"]}
    settings = {"host": "127.0.0.1", "port": port, "tls": False, "device": "hall", **mqtt}
    devices = {"mic": {"source": "file", "path": "x.wav"}}
    state = str(tmp_path / "state")
    return Config.model_validate({"state_dir": state, "devices": devices, "streams": {"a": stream}, "mqtt": settings})


class Daemon:
    """The publisher and the control socket of a daemon, without its ears; its wall clock goes when told."""

    def __init__(self, config, context, words=("stop", "go/now")):
        self.clock = FakeClock()
        directory = config.state_path
        directory.mkdir(exist_ok=True)
        guard = SocketGuard(context, SecuritySettings())
        events = EventsSettings(heartbeat_s=0.1, low_space_mib=0)
        self.publisher = Publisher(guard, config.events_endpoint, directory, settings=events, boot="b")
        self.publisher.start()
        verbs = {
            "events.replay": lambda args: replay(directory, waiting=self.publisher.waiting, **args),
            "references.show": lambda _args: {"monitors": {"keyword": {"labels": dict.fromkeys(words, 3)}}},
        }
        self.control = ControlServer(guard, config.control_endpoint, ControlSettings(), quick=verbs, long={})
        self.control.start()

    def stop(self):
        assert self.control.stop(10.0)
        assert self.publisher.stop(10.0)

    def say(self, model, **facts):
        common = {"boot": "b", "time": rfc3339(self.clock.wall_ns()), "stream": "a", "sample_start": 0, "sample_end": 1}
        return model(**common, **facts)

    def decide(self, model, kind, **facts):
        bundle = BundleRef(id="x", digest="d")
        event = self.say(model, kind=kind, onset_s=0, score=9.0, threshold=5.0, bundle=bundle, bank=1, **facts)
        self.publisher.alarm(event, self.clock.wall_ns())

    def score(self):
        self.publisher.telemetry(self.say(ScoreEvent, score=1.0, threshold=5.0, domain="", bank=1))


@contextmanager
def daemon(config, **options):
    with zmq.Context() as context:
        made = Daemon(config, context, **options)
        try:
            yield made
        finally:
            made.stop()


@contextmanager
def bridging(config):
    bridge = MqttBridge(config, QuickBackoff())
    thread = threading.Thread(target=bridge.run)
    thread.start()
    try:
        yield bridge
    finally:
        bridge.stop()
        bridge._backoff.may_go.set()
        thread.join(20.0)
        assert not thread.is_alive()


def is_online(heard):
    return ("edged/hall/daemon", b"online") in heard and ("edged/hall/bridge", b"online") in heard


def numbers(ear):
    return [event["seq"] for event in ear.events()]


def test_events_states_and_home_assistants_description_arrive(tmp_path):
    broker = Broker(tmp_path)
    config = configuration(tmp_path, broker.port, scores_every_s=3600.0)
    with broker.running(), Ear(broker.port) as ear, daemon(config) as plant, bridging(config):
        ear.wait_for(is_online)
        plant.decide(AnomalyEvent, "onset")
        plant.decide(KeywordEvent, "keyword", keyword="go/now")
        ear.wait_for(lambda heard: ("edged/hall/anomaly/a/state", b"ON") in heard and len(ear.events()) == 2)
        plant.decide(AnomalyEvent, "cleared")
        ear.wait_for(lambda heard: ("edged/hall/anomaly/a/state", b"OFF") in heard)
        for _ in range(500):
            plant.score()
        ear.wait_for(lambda _heard: ear.last("edged/hall/score/a"))
        assert [topic for topic, _ in ear.heard].count("edged/hall/score/a") == 1
        assert json.loads(ear.last("edged/hall/keyword/a/go%2Fnow"))["keyword"] == "go/now"
        described = {t: json.loads(p) for t, p in ear.heard if t.startswith("homeassistant/")}
        assert sorted(topic.split("/")[1] for topic in described) == ["binary_sensor", "event", "event", "sensor"]
        binary = described["homeassistant/binary_sensor/edged_hall/a_anomaly/config"]
        assert binary["state_topic"] == "edged/hall/anomaly/a/state"
        assert [one["topic"] for one in binary["availability"]] == ["edged/hall/bridge", "edged/hall/daemon"]
        words = {one["state_topic"] for topic, one in described.items() if "/event/" in topic}
        assert words == {"edged/hall/keyword/a/stop", "edged/hall/keyword/a/go%2Fnow"}
        assert len({one["unique_id"] for one in described.values()}) == len(described)
        ear.heard.clear()
        with Ear(broker.port) as late:  # what is retained, and no more
            late.wait_for(lambda heard: len(heard) >= 7)
            assert {t for t, _ in late.heard} == {*described, "edged/hall/bridge", "edged/hall/daemon",
                                                  "edged/hall/anomaly/a/state"}  # fmt: skip
    # the bridge said goodbye before the broker ended


def test_what_a_later_run_does_not_find_any_more_is_removed_from_home_assistant(tmp_path):
    # words that were removed, and streams of an earlier configuration, stayed there for ever
    broker = Broker(tmp_path)
    config = configuration(tmp_path, broker.port)

    def topic(word):
        return f"homeassistant/event/edged_hall/a_keyword_{word}/config"

    with broker.running(), Ear(broker.port, "homeassistant/#") as ear:
        with daemon(config, words=("stop", "go")), bridging(config):
            ear.wait_for(lambda _heard: ear.last(topic("stop")) and ear.last(topic("go")))
        with daemon(config, words=("go",)), bridging(config):
            ear.wait_for(lambda _heard: ear.last(topic("stop")) == b"")
        assert ear.last(topic("go"))
        assert ear.last("homeassistant/binary_sensor/edged_hall/a_anomaly/config")


def test_three_days_without_broker_lose_no_alarm_and_bring_no_flood(tmp_path):
    """An alarm every 5 minutes and a score every 30 s for 72 h on the daemon's clock, the broker away all the while."""
    broker = Broker(tmp_path)
    config = configuration(tmp_path, broker.port)
    with daemon(config) as plant, bridging(config) as bridge:
        with broker.running():
            with Ear(broker.port) as ear:
                ear.wait_for(is_online)
                plant.decide(AnomalyEvent, "onset")
                ear.wait_for(lambda _heard: len(ear.events()) == 1)
            wait_until(lambda: bridge._position.seq == 1)  # what others have heard may not be acknowledged yet
        bridge._backoff.may_go.clear()
        n_alarms = 72 * 12
        for number in range(n_alarms):
            plant.clock.advance(300.0)
            plant.decide(AnomalyEvent, "update" if number % 2 else "drift")
            for _ in range(10):
                plant.score()
        wait_until(lambda: not plant.publisher.queue_depth)
        with broker.running(), Ear(broker.port) as ear:
            bridge._backoff.may_go.set()
            ear.wait_for(lambda _heard: len(set(numbers(ear))) >= n_alarms, 60.0)
            for _ in range(3):
                plant.decide(AnomalyEvent, "cleared")
            ear.wait_for(lambda _heard: len(set(numbers(ear))) >= n_alarms + 3)
            assert numbers(ear) == list(range(2, n_alarms + 5))
            assert [topic for topic, _ in ear.heard].count("edged/hall/score/a") <= 1
            hours = ear.events()[n_alarms - 1]["time"], ear.events()[0]["time"]
            assert [hour[:10] for hour in hours] == ["2023-11-17", "2023-11-14"]
        assert bridge.connections >= 2


def test_a_broker_that_comes_and_goes_gets_everything_in_order(tmp_path):
    broker = Broker(tmp_path)
    config = configuration(tmp_path, broker.port)
    seen = []
    with daemon(config) as plant, bridging(config):
        for life in range(4):
            with broker.running(), Ear(broker.port) as ear:
                ear.wait_for(is_online)
                for _ in range(200):
                    plant.decide(AnomalyEvent, "update")
                if life == 3:
                    ear.wait_for(lambda _heard: 800 in numbers(ear), 60.0)
                else:
                    ear.wait_for(lambda heard: len(heard) > 50)
                seen += numbers(ear)
    # what was on its way when the broker ended may come twice; nothing new comes before the old
    first = list(dict.fromkeys(seen))
    assert first[-1] == 800
    assert first == sorted(first)


def test_the_bridge_goes_on_after_its_own_end_and_a_killed_one_is_told_of(tmp_path, plant):
    broker = Broker(tmp_path)
    config = configuration(tmp_path, broker.port)
    plant.settings = json.loads(config.model_dump_json(exclude_defaults=True))
    with broker.running(), Ear(broker.port) as ear, daemon(config) as made:
        process = subprocess.Popen(plant.command("bridge", "mqtt"), env=plant.environment)
        ear.wait_for(is_online, 60.0)
        for _ in range(20):
            made.decide(AnomalyEvent, "update")
        ear.wait_for(lambda _heard: len(ear.events()) >= 20)
        process.kill()
        process.wait()
        ear.wait_for(lambda _heard: ear.last("edged/hall/bridge") == b"offline", 60.0)
        for _ in range(20):
            made.decide(AnomalyEvent, "update")
        process = subprocess.Popen(plant.command("bridge", "mqtt"), env=plant.environment)
        ear.wait_for(lambda _heard: 40 in numbers(ear), 60.0)
        process.terminate()
        assert process.wait(20.0) == 0
        assert sorted(set(numbers(ear))) == list(range(1, 41))
        assert json.loads((config.state_path / CURSOR_NAME).read_bytes())["seq"] == 40
        ear.wait_for(lambda _heard: ear.last("edged/hall/bridge") == b"offline")


def test_a_broker_that_asks_for_certificate_and_password_over_tls(tmp_path):
    make_certificates(tmp_path)
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "edged", "secret"], check=True, capture_output=True)
    broker = Broker(
        tmp_path, "allow_anonymous false", f"password_file {passwords}", f"cafile {tmp_path}/authority.pem",
        f"certfile {tmp_path}/broker.pem", f"keyfile {tmp_path}/broker.key", "require_certificate true",
    )  # fmt: skip
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    good = {
        "host": "localhost", "tls": True, "ca_file": str(tmp_path / "authority.pem"), "user": "edged",
        "certificate": str(tmp_path / "client.pem"), "key_file": str(tmp_path / "client.key"),
        "password_file": str(password),
    }  # fmt: skip
    context = ssl.create_default_context(cafile=tmp_path / "authority.pem")
    context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    wrong = tmp_path / "wrong"
    wrong.write_text("guess\n")
    wrong.chmod(0o600)
    bad = {
        "certificate verify failed": {"ca_file": str(tmp_path / "stranger.pem")},
        "Not authorized": {"password_file": str(wrong)},
        "broker localhost": {"certificate": None, "key_file": None},
    }
    with (
        broker.running(),
        Ear(broker.port, tls=context, username="edged", password=password.read_text().strip()) as ear,
    ):
        for message, change in bad.items():
            bridge = MqttBridge(configuration(tmp_path, broker.port, **(good | change)))
            with pytest.raises(LinkError, match=message):
                bridge._live()
        assert not [topic for topic, _ in ear.heard if topic.startswith("edged/")]
        config = configuration(tmp_path, broker.port, **good)
        with daemon(config) as plant, bridging(config):
            ear.wait_for(is_online)
            plant.decide(AnomalyEvent, "onset")
            ear.wait_for(lambda _heard: len(ear.events()) == 1)


def test_a_broker_that_refuses_our_topics_gets_no_alarm_counted_as_delivered(tmp_path):
    rules = tmp_path / "rules"
    rules.write_text("topic read #\ntopic write edged/hall/bridge\n")
    broker = Broker(tmp_path, "allow_anonymous true", f"acl_file {rules}")
    config = configuration(tmp_path, broker.port, discovery_prefix=None)
    with broker.running(), daemon(config) as plant, bridging(config) as bridge:
        wait_until(lambda: bridge.connections >= 1)
        plant.decide(AnomalyEvent, "onset")
        wait_until(lambda: bridge.connections >= 3)
    assert json.loads((config.state_path / CURSOR_NAME).read_bytes())["seq"] == 0
