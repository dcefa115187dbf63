"""Publisher, journal, control and subscriber together, over real sockets."""

import threading
from contextlib import contextmanager

import pytest
import zmq

from edged.clock import FakeClock, rfc3339
from edged.config import ControlSettings, EventsSettings, SecuritySettings
from edged.control.server import ControlServer
from edged.errors import ConfigError, StateError
from edged.events import keeper as keeper_module
from edged.events import publisher as publisher_module
from edged.events.journal import JournalReader, read_journal
from edged.events.publisher import Publisher
from edged.events.replay import replay
from edged.events.schema import ScoreEvent, StatusEvent
from edged.events.subscriber import Subscriber
from edged.security import SocketGuard


def seqs(events):
    return [event["seq"] for event in events]


def status(number, stream="a"):
    return StatusEvent(boot="b", time="t", stream=stream, subject="capture", state=str(number))


def score(number):
    return ScoreEvent(boot="b", time="t", stream="a", sample_start=number, sample_end=number + 1, score=0.0,
                      threshold=1.0, domain="source", bank=1)  # fmt: skip


@contextmanager
def running(tmp_path, **settings):
    with zmq.Context() as context:
        guard = SocketGuard(context, SecuritySettings())
        settings = EventsSettings(heartbeat_s=0.1, **{"journal_max_age_days": 36500, **settings})
        made = Publisher(guard, f"ipc://{tmp_path}/e", tmp_path, settings=settings, boot="b")
        made.start()
        try:
            yield made
        finally:
            assert made.stop(10.0)


def subscribe(tmp_path, **options):
    return Subscriber(f"ipc://{tmp_path}/e", **options)


def wait_for_heartbeat(subscriber):
    while subscriber.receive(10.0)["kind"] != "heartbeat":
        pass


def receive_statuses(subscriber, n):
    got = []
    while len(got) < n:
        event = subscriber.receive(10.0)
        assert event is not None
        if event["kind"] == "status":
            got.append(event)
    return got


def test_alarms_are_numbered_journalled_and_published_in_order(tmp_path):
    with running(tmp_path) as publisher, subscribe(tmp_path) as subscriber:
        wait_for_heartbeat(subscriber)
        for number in range(500):
            publisher.alarm(status(number), number)
        got = receive_statuses(subscriber, 500)
    assert [event["seq"] for event in got] == list(range(1, 501))
    assert [event["state"] for event in got] == [str(n) for n in range(500)]
    assert read_journal(tmp_path) == got
    assert len({event["id"] for event in got}) == 500


def test_a_reason_that_is_no_text_reaches_everybody(tmp_path):
    """A file's name that is no UTF-8, in the reason of a status event, ended the daemon."""
    reason = "/clips/caf\udce9.wav: damaged"
    with running(tmp_path) as publisher, subscribe(tmp_path) as subscriber:
        wait_for_heartbeat(subscriber)
        publisher.alarm(status(1).model_copy(update={"reason": reason}), 0)
        assert receive_statuses(subscriber, 1)[0]["reason"] == reason
    assert [event["reason"] for event in read_journal(tmp_path)] == [reason]


def test_numbers_go_on_in_the_next_life(tmp_path):
    for _ in range(2):
        with running(tmp_path) as publisher:
            publisher.alarm(status(1), 0)
    assert [event["seq"] for event in read_journal(tmp_path)] == [1, 2]


def test_stop_publishes_what_waits(tmp_path):
    with running(tmp_path) as publisher:
        for number in range(3000):
            publisher.alarm(status(number), 0)
    with JournalReader(tmp_path) as reader:
        assert reader.last_seq() == 3000


def test_telemetry_is_dropped_and_counted_when_nobody_takes_it(tmp_path, monkeypatch):
    monkeypatch.setattr(publisher_module, "TELEMETRY_QUEUE", 5)
    with running(tmp_path) as publisher, publisher._condition:  # the thread cannot take anything
        for number in range(12):
            publisher.telemetry(score(number))
        assert publisher.dropped_telemetry == 7
        assert [event.sample_start for event in publisher._telemetry] == [7, 8, 9, 10, 11]


def test_a_failing_journal_silences_no_alarm_and_is_filled_later(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper_module, "RETRY_S", 0.0)
    with running(tmp_path, low_space_mib=0) as publisher, subscribe(tmp_path) as subscriber:
        wait_for_heartbeat(subscriber)
        works = keeper_module.Journal.append

        def full(*_, **__):
            raise StateError("disk full")

        monkeypatch.setattr(keeper_module.Journal, "append", full)
        publisher.alarm(status(1), 0)
        alarm, told = receive_statuses(subscriber, 2)
        assert (alarm["seq"], alarm["journalled"]) == (1, False)
        assert (told["subject"], told["state"], told["journalled"]) == ("storage", "failing", False)
        assert publisher.unjournalled == 2
        assert [event.seq for event in publisher.waiting()] == [1, 2]
        publisher.telemetry(score(1))
        assert publisher.dropped_telemetry == 1
        monkeypatch.setattr(keeper_module.Journal, "append", works)
        publisher.alarm(status(2), 0)
        alarm, told = receive_statuses(subscriber, 2)
        assert (alarm["seq"], alarm["journalled"], told["state"]) == (3, True, "ok")
        assert publisher.unjournalled == 0
        publisher.telemetry(score(1))
        assert publisher.dropped_telemetry == 1
    assert [(event["seq"], event["journalled"]) for event in read_journal(tmp_path)] == [
        (n, True) for n in (1, 2, 3, 4)
    ]


def test_a_bind_that_cannot_be_is_told_at_start(tmp_path):
    with zmq.Context() as context:
        guard = SocketGuard(context, SecuritySettings())
        publisher = Publisher(guard, "tcp://*:5999", tmp_path, settings=EventsSettings(), boot="b")
        with pytest.raises(ConfigError):
            publisher.start()


@contextmanager
def replaying(tmp_path):
    with zmq.Context() as context:

        def answer(args):
            return replay(tmp_path, **args)

        server = ControlServer(SocketGuard(context, SecuritySettings()), f"ipc://{tmp_path}/c", ControlSettings(),
                               quick={"events.replay": answer}, long={})  # fmt: skip
        server.start()
        try:
            yield
        finally:
            assert server.stop(10.0)


def test_a_subscriber_that_was_away_finds_the_hole_and_fills_it(tmp_path, monkeypatch):
    monkeypatch.setattr("edged.events.tracking.PAGE_EVENTS", 7)
    endpoint, control = f"ipc://{tmp_path}/e", f"ipc://{tmp_path}/c"
    with (
        replaying(tmp_path),
        running(tmp_path) as publisher,
        Subscriber(endpoint, topics=["status.a"], control_endpoint=control, after_seq=0) as subscriber,
    ):
        publisher.alarm(status(0), 0)
        assert receive_statuses(subscriber, 1)[0]["seq"] == 1
        subscriber._socket.disconnect(endpoint)
        for number in range(1, 31):
            publisher.alarm(status(number, stream="b" if number % 2 else "a"), 0)
        subscriber._socket.connect(endpoint)
        got = receive_statuses(subscriber, 15)
        assert [event["seq"] for event in got] == list(range(3, 32, 2))
        assert subscriber.missed == 0


def test_a_subscriber_starts_where_it_left_off(tmp_path):
    with running(tmp_path) as publisher:
        for number in range(10):
            publisher.alarm(status(number), 0)
    endpoint, control = f"ipc://{tmp_path}/e", f"ipc://{tmp_path}/c"
    with replaying(tmp_path), running(tmp_path), Subscriber(endpoint, control_endpoint=control, after_seq=4) as again:
        assert [event["seq"] for event in receive_statuses(again, 6)] == [5, 6, 7, 8, 9, 10]


def test_without_control_a_hole_is_counted(tmp_path):
    with running(tmp_path) as publisher:
        for number in range(10):
            publisher.alarm(status(number), 0)
    with running(tmp_path), subscribe(tmp_path, after_seq=4) as subscriber:
        wait_for_heartbeat(subscriber)
        assert subscriber.missed == 6


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_step_of_the_wall_clock_is_told_and_numbers_keep_the_order(tmp_path, step_s):
    clock = FakeClock(1_800_000_000.0)
    with zmq.Context() as context, subscribe(tmp_path, after_seq=0) as subscriber:
        settings = EventsSettings(heartbeat_s=0.1, low_space_mib=0)
        publisher = Publisher(SocketGuard(context, SecuritySettings()), f"ipc://{tmp_path}/e", tmp_path,
                              settings=settings, boot="b", clock=clock)  # fmt: skip
        publisher.start()
        wait_for_heartbeat(subscriber)
        publisher.alarm(status(1), clock.wall_ns())
        clock.step_wall(step_s)
        told = receive_statuses(subscriber, 2)[-1]
        clock.advance(60.0)
        publisher.alarm(status(2), clock.wall_ns())
        receive_statuses(subscriber, 1)
        while (beat := subscriber.receive(10.0))["kind"] != "heartbeat":
            pass
        assert publisher.stop(10.0)
    assert (told["subject"], told["state"]) == ("clock", "stepped")
    assert f"{step_s:+.1f} s" in told["reason"]
    assert beat["uptime_s"] == 60.0
    assert seqs(read_journal(tmp_path)) == [1, 2, 3]
    found = read_journal(tmp_path, since=rfc3339(clock.wall_ns()))
    assert seqs(found) == ([3] if step_s > 0 else [1, 2, 3])  # set back, the first is stamped later than the last


def test_telemetry_is_never_journalled(tmp_path):
    with running(tmp_path) as publisher, subscribe(tmp_path) as subscriber:
        wait_for_heartbeat(subscriber)
        publisher.telemetry(score(1))
        while (event := subscriber.receive(10.0))["kind"] != "score":
            pass
    assert "seq" not in event
    assert read_journal(tmp_path) == []


def test_many_threads_lose_nothing(tmp_path):
    with running(tmp_path) as publisher:
        threads = [
            threading.Thread(target=lambda: [publisher.alarm(status(n), 0) for n in range(300)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with JournalReader(tmp_path) as reader:
        assert reader.last_seq() == 1200


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_who_waits_for_room_is_told_when_the_publisher_dies(tmp_path, monkeypatch):
    """Woken while its thread was still about to end, it saw a living one, and waited for ever."""
    monkeypatch.setattr(publisher_module, "ALARM_QUEUE", 1)
    may_die, told = threading.Event(), []

    def die(*_):
        assert may_die.wait(10.0)
        raise ZeroDivisionError

    def hand_over(publisher):
        try:
            for number in range(3):
                publisher.alarm(status(number), 0)
        except StateError:
            told.append(True)

    class LingeringThread(threading.Thread):
        def run(self):
            try:
                super().run()
            finally:
                waiting.join(5.0)

    with zmq.Context() as context:
        publisher = Publisher(SocketGuard(context, SecuritySettings()), f"ipc://{tmp_path}/e", tmp_path,
                              settings=EventsSettings(), boot="b")  # fmt: skip
        publisher._serve, publisher._thread = die, LingeringThread(target=publisher._run)
        waiting = threading.Thread(target=hand_over, args=(publisher,), daemon=True)
        publisher.start()
        waiting.start()
        may_die.set()
        waiting.join(10.0)
        assert told == [True]
        assert publisher.stop(10.0)
