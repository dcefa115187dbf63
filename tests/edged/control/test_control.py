import asyncio
import json
import threading
from contextlib import contextmanager

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edged.config import ControlSettings, SecuritySettings
from edged.control.client import AsyncControlClient, ControlClient, running_daemon
from edged.control.server import MAX_JOBS, ControlServer
from edged.errors import ControlError, EnrolmentError
from edged.security import SocketGuard


def _refuse(_):
    raise EnrolmentError("clip too short", fix="record it again", report={"clips": ["a.wav"]})


def _break(_):
    raise ZeroDivisionError("oops")


@contextmanager
def serving(endpoint, long=None, **limits):
    with zmq.Context() as context:
        server = ControlServer(
            SocketGuard(context, SecuritySettings()),
            endpoint,
            ControlSettings(**limits),
            quick={"echo": dict, "refuse": _refuse, "break": _break},
            long=long or {},
        )
        server.start()
        try:
            yield server
        finally:
            assert server.stop(10.0)


@pytest.fixture
def endpoint(tmp_path):
    return f"ipc://{tmp_path}/control.sock"


def test_requests_are_answered_and_refusals_keep_their_class(endpoint):
    with serving(endpoint), ControlClient(endpoint) as client:
        assert client.call("echo", {"a": [1, "ü"]}) == {"a": [1, "ü"]}
        with pytest.raises(EnrolmentError, match="clip too short; record it again") as refused:
            client.call("refuse")
        assert refused.value.report == {"clips": ["a.wav"]}
        with pytest.raises(ControlError, match="ZeroDivisionError"):
            client.call("break")
        with pytest.raises(ControlError, match="no such verb: 'dance'; one of break, echo, ping, refuse"):
            client.call("dance")


def test_no_daemon_is_said_clearly(endpoint, monkeypatch):
    monkeypatch.setattr("edged.control.client._CONNECT_TIMEOUT_S", 0.05)
    assert running_daemon(endpoint) is None
    with ControlClient(endpoint) as client, pytest.raises(ControlError, match="start it with `edged run`"):
        client.call("status")


def test_a_running_daemon_is_found(endpoint):
    with serving(endpoint):
        client = running_daemon(endpoint)
        assert client.call("echo", {}) == {}
        client.close()


def test_a_long_request_leaves_the_daemon_answerable_and_too_many_are_refused(endpoint):
    gate = threading.Event()

    def long(args):
        assert gate.wait(30.0)
        return args

    with serving(endpoint, long={"long": long}), ControlClient(endpoint) as busy, ControlClient(endpoint) as other:
        for number in range(MAX_JOBS):
            busy._socket.send(json.dumps({"id": f"job{number}", "verb": "long"}).encode())
        busy._socket.send(json.dumps({"id": "one too many", "verb": "long"}).encode())
        refusal = json.loads(busy._socket.recv())
        assert refusal["id"] == "one too many"
        assert "too many" in refusal["error"]["message"]
        assert other.call("echo", {"still": "here"}) == {"still": "here"}
        gate.set()
        answered = [json.loads(busy._socket.recv())["id"] for _ in range(MAX_JOBS)]
        assert answered == [f"job{number}" for number in range(MAX_JOBS)]


def test_a_req_socket_with_its_empty_frame_is_served_too(endpoint):
    with serving(endpoint), zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.connect(endpoint)
        socket.send(b'{"id": "1", "verb": "ping"}')
        assert socket.poll(10_000)
        assert json.loads(socket.recv()) == {"id": "1", "ok": True, "result": {}}


def test_an_oversized_message_is_dropped_and_the_daemon_goes_on(endpoint):
    with serving(endpoint, max_message_bytes=2048):
        with ControlClient(endpoint) as client:
            client._socket.send(b"x" * 5000)
        with ControlClient(endpoint) as client:
            assert client.call("ping") == {}


def test_a_request_the_daemon_would_drop_is_refused_before_it_is_sent(endpoint):
    with serving(endpoint), ControlClient(endpoint) as client, pytest.raises(ControlError, match="too large"):
        client.call("echo", {"clips": ["x" * 100] * 20_000})


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    endpoint = f"ipc://{tmp_path_factory.mktemp('c')}/s"
    with serving(endpoint), zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(endpoint)
        yield socket


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_OBJECTS = st.fixed_dictionaries(
    {}, optional={"id": _JSON | st.text(), "verb": _JSON | st.just("echo"), "args": _JSON, "more": _JSON}
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | _OBJECTS.map(lambda value: json.dumps(value).encode()) | st.just(b"[" * 5000))
def test_whatever_comes_in_one_answer_goes_out(live, body):
    live.send(body)
    assert live.poll(10_000)
    answer = json.loads(live.recv())
    assert set(answer) in ({"id", "ok", "result"}, {"id", "ok", "error"})


def test_a_job_that_outlives_its_server_is_told(endpoint):
    """The interpreter waited for it at its end: a stop during a long enrolment took as long as the enrolment."""
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def long(_):
        begun.set()
        release.wait(10.0)
        ended.set()
        return {}

    with serving(endpoint, long={"long": long}) as server:
        with ControlClient(endpoint) as client, pytest.raises(ControlError, match="in time"):
            client.call("long", timeout_s=0.001)
        assert begun.wait(10.0)
    assert server.is_busy
    release.set()
    assert ended.wait(10.0)


def test_a_daemon_that_binds_everywhere_is_reached_from_here(monkeypatch):
    """ZeroMQ cannot connect to a wildcard: `edged status` on such a configuration ended in a traceback."""
    monkeypatch.setattr("edged.control.client._CONNECT_TIMEOUT_S", 0.05)
    with ControlClient("tcp://*:5993") as client, pytest.raises(ControlError, match="no daemon answers"):
        client.call("ping")


@contextmanager
def dying_daemon(endpoint):
    """It takes one request and ends."""
    with zmq.Context() as context:
        router = context.socket(zmq.ROUTER)
        router.bind(endpoint)

        def take_and_die():
            router.recv_multipart()
            router.close(linger=0)

        daemon = threading.Thread(target=take_and_die)
        daemon.start()
        yield
        daemon.join(10.0)


def test_a_daemon_that_dies_before_it_answers_is_noticed_long_before_the_timeout(endpoint):
    refused = pytest.raises(ControlError, match="ended before it answered 'enroll'")
    with dying_daemon(endpoint), ControlClient(endpoint) as client, refused:
        client.call("enroll", timeout_s=250.0)


def test_an_asyncio_client_notices_it_too(endpoint):
    """It waited for its whole time."""

    async def ask():
        client = AsyncControlClient(endpoint, 250.0)
        try:
            await client.call("enroll")
        finally:
            client.close()

    with dying_daemon(endpoint), pytest.raises(ControlError, match="ended before it answered 'enroll'"):
        asyncio.run(ask())


def test_an_asyncio_client_gets_its_answer(endpoint):
    async def ask():
        client = AsyncControlClient(endpoint)
        try:
            return await client.call("echo", {"a": 1})
        finally:
            client.close()

    with serving(endpoint):
        assert asyncio.run(ask()) == {"a": 1}
