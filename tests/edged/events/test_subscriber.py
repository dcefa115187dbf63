"""The client over real sockets: against a publisher that comes and goes, and against everything else."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import zmq

from edged.config import ControlSettings, EventsSettings, SecuritySettings
from edged.control.server import ControlServer
from edged.events import subscriber as module
from edged.events.publisher import Publisher
from edged.events.replay import replay
from edged.events.schema import AnomalyEvent, BundleRef, StatusEvent
from edged.events.subscriber import AsyncSubscriber, Subscriber
from edged.security import SocketGuard
from edged.state import DATABASE_NAME

README = Path(__file__).resolve().parents[3] / "README.md"


def status(number):
    return StatusEvent(boot="b", time="t", stream="a", subject="capture", state=str(number))


def onset(number):
    return AnomalyEvent(kind="onset", boot="b", time="2026-01-31T13:00:00.000Z", stream="press-3", sample_start=0,
                        sample_end=1, onset_s=number, score=9.0, threshold=5.0, bundle=BundleRef(id="x", digest="d"),
                        bank=1)  # fmt: skip


@contextmanager
def daemon(directory, boot="b", answers=True):
    """The publisher and the control socket of a daemon, without its ears."""
    with zmq.Context() as context:
        guard = SocketGuard(context, SecuritySettings())
        settings = EventsSettings(heartbeat_s=0.1, low_space_mib=0)
        publisher = Publisher(guard, f"ipc://{directory}/events.sock", directory, settings=settings, boot=boot)
        publisher.start()

        def answer(args):
            return replay(directory, waiting=publisher.waiting, **args)

        control = ControlServer(guard, f"ipc://{directory}/control.sock", ControlSettings(),
                                quick={"events.replay": answer}, long={})  # fmt: skip
        if answers:
            control.start()
        try:
            yield publisher
        finally:
            assert not answers or control.stop(10.0)
            assert publisher.stop(10.0)


def subscribe(directory, kind=Subscriber, **options):
    return kind(f"ipc://{directory}/events.sock", ["status."], f"ipc://{directory}/control.sock", **options)


def alarm(publisher, numbers):
    for number in numbers:
        publisher.alarm(status(number), time.time_ns())


def receive(subscriber, n):
    got = [subscriber.receive(20.0) for _ in range(n)]
    return [event and event["state"] for event in got]


def break_after(n, directory, cursor):
    with subscribe(directory, cursor=cursor) as subscriber:
        receive(subscriber, n)
        raise ZeroDivisionError


def numbers(*ends):
    return [str(number) for number in range(*ends)]


def test_restarts_of_the_daemon_lose_nothing(tmp_path):
    with subscribe(tmp_path, after_seq=0) as subscriber:
        for life in range(3):
            with daemon(tmp_path, boot=f"b{life}") as publisher:
                alarm(publisher, range(10 * life, 10 * life + 5))
                assert receive(subscriber, 5) == numbers(10 * life, 10 * life + 5)
                subscriber._socket.disconnect(f"ipc://{tmp_path}/events.sock")
                alarm(publisher, range(10 * life + 5, 10 * life + 10))
            subscriber._socket.connect(f"ipc://{tmp_path}/events.sock")
            with daemon(tmp_path, boot=f"c{life}"):
                assert receive(subscriber, 5) == numbers(10 * life + 5, 10 * life + 10)
        assert subscriber.missed == 0


def test_a_new_state_is_read_from_its_beginning(tmp_path):
    with subscribe(tmp_path, after_seq=0) as subscriber:
        with daemon(tmp_path) as publisher:
            alarm(publisher, range(7))
            assert receive(subscriber, 7) == numbers(7)
        for path in tmp_path.glob(f"{DATABASE_NAME}*"):
            path.unlink()
        (tmp_path / "journal.mark").unlink()
        with daemon(tmp_path, boot="new") as publisher:
            alarm(publisher, range(100, 120))
            assert receive(subscriber, 20) == numbers(100, 120)
        assert subscriber.counts.renumbered == 1


def test_a_cursor_goes_on_where_the_last_subscriber_was(tmp_path):
    cursor = tmp_path / "cursor.json"
    with daemon(tmp_path) as publisher:
        with subscribe(tmp_path, cursor=cursor, after_seq=0) as first:
            alarm(publisher, range(10))
            assert receive(first, 4) == numbers(4)
        with pytest.raises(ZeroDivisionError):
            break_after(3, tmp_path, cursor)
        with subscribe(tmp_path, cursor=cursor) as third:  # the event at which the second broke comes again
            assert receive(third, 4) == numbers(6, 10)


def test_who_is_killed_before_the_first_event_misses_none(tmp_path):
    """Nothing was remembered before one was given out: the next subscriber began where the journal was then."""
    cursor = tmp_path / "cursor.json"
    with daemon(tmp_path) as publisher:
        first = subscribe(tmp_path, cursor=cursor)
        waiting = threading.Thread(target=first.receive, args=(3.0,))  # as long as it takes, says the README's
        waiting.start()
        while not cursor.exists():
            assert waiting.is_alive()
            time.sleep(0.01)
        waiting.join()
        first._socket.close()  # no `close`, as when it is killed
        alarm(publisher, range(3))
        with subscribe(tmp_path, cursor=cursor) as second:
            assert receive(second, 3) == numbers(3)


def test_while_the_daemon_does_not_answer_nothing_is_held_back(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CONNECT_WITHIN_S", 0.05)
    with daemon(tmp_path) as publisher:
        alarm(publisher, range(5))
    with subscribe(tmp_path, after_seq=0) as subscriber:
        with daemon(tmp_path, "c", answers=False) as publisher:
            while subscriber._tracker._boot != "c":  # until its first heartbeat
                assert subscriber.receive(0.1) is None
            alarm(publisher, [5])
            assert receive(subscriber, 1) == ["5"]
            assert subscriber.position.seq == 0
        with daemon(tmp_path, "d"):
            assert receive(subscriber, 5) == numbers(5)
        assert subscriber.position.seq == 6


def test_asyncio(tmp_path):
    async def listen():
        async with subscribe(tmp_path, AsyncSubscriber, after_seq=0, cursor=tmp_path / "cursor") as subscriber:
            got = []
            async for event in subscriber:
                got.append(event["state"])
                if len(got) == 5:
                    break
            assert await subscriber.receive(0.3) is None
            return got

    with daemon(tmp_path) as publisher:
        alarm(publisher, range(5))
        assert asyncio.run(listen()) == numbers(5)
        alarm(publisher, range(5, 10))
        assert asyncio.run(listen()) == numbers(5, 10)


def test_asyncio_finds_nobody_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CONNECT_WITHIN_S", 0.05)

    async def listen():
        async with subscribe(tmp_path, AsyncSubscriber, after_seq=0) as subscriber:
            return [(await subscriber.receive(10.0))["state"] for _ in range(1)]

    with daemon(tmp_path) as publisher:
        alarm(publisher, range(5))
    with daemon(tmp_path, "c", answers=False) as publisher:
        stop = threading.Event()

        def go_on():
            number = 5
            while not stop.wait(0.05):
                alarm(publisher, [number])
                number += 1

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            assert int(asyncio.run(listen())[0]) >= 5
        finally:
            stop.set()
            thread.join()


def snippets():
    text = README.read_text("utf-8")
    section = text[text.index("## Subscribe") :]
    found = re.findall(r"```python\n(.*?)```", section[: section.index("\n## ")], re.DOTALL)
    assert len(found) == 2
    return found


@pytest.mark.parametrize("snippet", snippets(), ids=["sync", "asyncio"])
def test_the_readme_example_runs_as_it_stands(snippet, tmp_path):
    """Only the directory of the sockets is another one."""
    assert len(snippet.strip().splitlines()) <= 14
    script = snippet.replace("/run/edged/", f"{tmp_path}/")
    assert script != snippet
    program = subprocess.Popen(
        [sys.executable, "-u", "-c", script], stdout=subprocess.PIPE, cwd=tmp_path, text=True,
        env={**os.environ, "PYTHONPATH": str(README.parent)},
    )  # fmt: skip
    stop = threading.Event()

    def go_on(publisher):
        while not stop.wait(0.1):
            publisher.alarm(onset(1), time.time_ns())

    with daemon(tmp_path) as publisher:
        thread = threading.Thread(target=go_on, args=(publisher,))
        thread.start()
        try:
            line = program.stdout.readline()
        finally:
            stop.set()
            thread.join()
            program.send_signal(signal.SIGKILL)
            program.wait()
    assert "press-3" in line


class ClosesAtOnce:
    """A listener that accepts every connection, counts it, and closes it."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self.server.getsockname()[1]}"
        self.times_s = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.times_s.append(time.monotonic())
            connection.close()

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self.server.close()


def test_thousands_of_forced_reconnects_cost_nothing_and_then_events_come(monkeypatch):
    """At the pace of a test: 1 ms between attempts instead of 100 to 300."""
    wanted = int(os.environ.get("EDGED_RECONNECTS", "1000"))
    monkeypatch.setattr(module, "_RECONNECT_MS", (1, 1))
    monkeypatch.setattr(module, "_RECONNECT_MAX_MS", 1)
    listener, process = ClosesAtOnce(), psutil.Process()
    with Subscriber(listener.endpoint) as subscriber:
        while len(listener.times_s) < 300:
            assert subscriber.receive(0.05) is None
        before, files, threads = process.memory_info().rss, process.num_fds(), process.num_threads()
        while len(listener.times_s) < 300 + wanted:
            assert subscriber.receive(0.05) is None
        assert process.memory_info().rss - before < 5 << 20
        assert process.num_fds() <= files + 5
        assert process.num_threads() == threads
        listener.close()
        with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
            publisher.bind(listener.endpoint)
            while (event := subscriber.receive(0.05)) is None:
                publisher.send_multipart([b"edged.heartbeat", b'{"boot":"b","last_seq":3}'])
        assert event["last_seq"] == 3


def test_attempts_are_capped_and_many_subscribers_do_not_come_at_once():
    listener = ClosesAtOnce()
    subscribers = [Subscriber(listener.endpoint) for _ in range(5)]
    paces_ms = {one._socket.getsockopt(zmq.RECONNECT_IVL) for one in subscribers}
    started_s = time.monotonic()
    while time.monotonic() - started_s < 2.0:
        for one in subscribers:
            one.receive(0.02)
    for one in subscribers:
        one.close()
    listener.close()
    assert 100 <= min(paces_ms) <= max(paces_ms) <= 300
    assert len(paces_ms) > 1
    assert 5 < len(listener.times_s) <= 5 * (1 + (time.monotonic() - started_s) / 0.1)


def test_frames_of_any_number_and_kind_are_counted_and_passed_over(monkeypatch):
    """ZeroMQ never connects again to who sent a message that is too large: one such frame made the subscriber deaf."""
    monkeypatch.setattr(module, "_SILENCE_S", 0.5)
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        with Subscriber(f"tcp://127.0.0.1:{port}") as subscriber:
            beat = [b"edged.heartbeat", b'{"boot":"b","last_seq":3}']
            while subscriber.receive(0.05) is None:
                publisher.send_multipart(beat)
            bad = [[b"status.a"], [b"status.a", b"{"], [b"a", b"{}", b"{}"], [b"status.a", b"[" * 100_000],
                   [b"status.a", b'{"boot":"b","seq":1e999}'], [b"edged.heartbeat", b"{}"], [b"\xff", b"{}"],
                   [b"status.a", b'{"boot":"b","seq":' + b"9" * 5000 + b"}"]]  # fmt: skip
            for message in bad:
                publisher.send_multipart(message)
            publisher.send_multipart([b"status.a", b'{"boot":"b","seq":4,"state":"sane"}'])
            while (event := subscriber.receive(10.0)).get("state") != "sane":
                pass
            assert event["seq"] == 4
            assert subscriber.counts.malformed == len(bad)
            publisher.send_multipart([b"status.a", b"x" * (300 << 10)])  # larger than any event: cut off, comes back
            deadline_s = time.monotonic() + 20.0
            while subscriber.receive(0.05) is None and time.monotonic() < deadline_s:
                publisher.send_multipart(beat)
            assert time.monotonic() < deadline_s
