import socket as socket_library
import time
from contextlib import ExitStack, contextmanager

import pytest
import zmq

from edged.config import SecuritySettings
from edged.errors import ConfigError
from edged.security import SocketGuard
from edged.security.guard import HANDSHAKE_MS, user_of
from edged.security.keyring import Keyring
from edged.security.keys import new_pair, read_pair


@pytest.fixture
def context():
    with zmq.Context() as made:
        yield made


@pytest.mark.parametrize("endpoint", ["tcp://*:5999", "tcp://0.0.0.0:5999", "tcp://eth0:5999", "tcp://[::]:5999"])
def test_an_open_bind_without_keys_is_refused(context, endpoint):
    guard = SocketGuard(context, SecuritySettings())
    with context.socket(zmq.PUB) as socket, pytest.raises(ConfigError, match="without keys"):
        guard.bind(socket, endpoint)


def test_a_socket_path_that_is_too_long_is_named(context, tmp_path):
    with context.socket(zmq.PUB) as socket, pytest.raises(ConfigError, match="longer than"):
        SocketGuard(context, SecuritySettings()).bind(socket, f"ipc://{tmp_path}/{'x' * 120}")


def test_a_local_socket_is_for_user_and_group(context, tmp_path):
    with context.socket(zmq.PUB) as socket:
        SocketGuard(context, SecuritySettings()).bind(socket, f"ipc://{tmp_path}/s")
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660


def test_the_socket_of_another_daemon_is_not_taken_over(context, tmp_path):
    """ZeroMQ silently replaces a Unix socket: the first daemon ran on, but nobody reached it any more."""
    endpoint = f"ipc://{tmp_path}/s"
    guard = SocketGuard(context, SecuritySettings())
    with context.socket(zmq.ROUTER) as first:
        guard.bind(first, endpoint)
        with context.socket(zmq.ROUTER) as second, pytest.raises(ConfigError, match="another daemon answers"):
            guard.bind(second, endpoint)


def test_a_socket_file_that_a_killed_daemon_left_is_replaced(context, tmp_path):
    with socket_library.socket(socket_library.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    with context.socket(zmq.ROUTER) as socket:
        SocketGuard(context, SecuritySettings()).bind(socket, f"ipc://{tmp_path}/s")


@pytest.mark.parametrize("endpoint", ["ipc://@edged", "ipc://*"])
def test_a_socket_without_a_file_to_protect_is_refused(context, endpoint):
    """Its permissions cannot be set: that used to end the publisher's thread."""
    with context.socket(zmq.ROUTER) as socket, pytest.raises(ConfigError, match="cannot be bound"):
        SocketGuard(context, SecuritySettings()).bind(socket, endpoint)


@pytest.fixture
def keyring(tmp_path):
    made = Keyring(tmp_path / "keys")
    made.init(force=False)
    made.add("panel", "listen")
    made.add("boss", "control")
    return made


def settings(keyring, **more):
    return SecuritySettings(server_secret_key=keyring.server_secret, allowed_clients=keyring.allowed, **more)


def test_a_secret_key_that_others_can_read_is_refused(context, keyring):
    keyring.server_secret.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        SocketGuard(context, settings(keyring))


def test_half_a_configuration_is_refused(context, keyring):
    with pytest.raises(ConfigError, match="belong together"):
        SocketGuard(context, SecuritySettings(server_secret_key=keyring.server_secret))


@contextmanager
def guarded(keyring, **more):
    """A guard at work, and a socket that is bound for others; its endpoint."""
    with zmq.Context() as context:
        guard = SocketGuard(context, settings(keyring, **more))
        guard.start()
        with context.socket(zmq.ROUTER) as server:
            server.linger = 0
            guard.bind(server, "tcp://127.0.0.1:*")
            yield guard, server, server.last_endpoint.decode()
        guard.stop()


def client_of(keyring, endpoint, pair):
    client = zmq.Context.instance().socket(zmq.DEALER)
    client.linger = 0
    client.curve_publickey, client.curve_secretkey = pair.public, pair.secret
    client.curve_serverkey = keyring.public().encode()
    client.reconnect_ivl = 50
    client.connect(endpoint)
    return client


def pair_of(keyring, name):
    return read_pair(keyring.directory / "clients" / f"{name}.key_secret")


def until(condition, timeout_s=10.0):
    deadline_s = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize(("name", "right"), [("panel", "listen"), ("boss", "control")])
def test_a_listed_key_is_let_in_and_known(keyring, name, right):
    with guarded(keyring) as (guard, server, endpoint), client_of(keyring, endpoint, pair_of(keyring, name)) as client:
        client.send(b"hello")
        assert server.poll(5000)
        assert guard.right_of(user_of(server.recv_multipart(copy=False)[-1])) == right
        assert guard.facts()["open"] == 1


def test_a_stranger_is_shut_out_counted_and_named_once_in_the_log(keyring, caplog):
    with guarded(keyring) as (guard, server, endpoint), client_of(keyring, endpoint, new_pair()) as client:
        client.send(b"hello")
        assert until(lambda: guard.refused()["keys"] >= 2, timeout_s=3 * HANDSHAKE_MS / 1000)
        assert not server.poll(0)
    assert caplog.text.count("refused the key") == 1


def test_without_anybody_at_the_door_nobody_is_let_in(keyring):
    """ZeroMQ encrypts and lets everybody in where no handler answers, unless it is told that one has to."""
    with zmq.Context() as context:
        guard = SocketGuard(context, settings(keyring))  # never started
        with context.socket(zmq.ROUTER) as server:
            guard.bind(server, "tcp://127.0.0.1:*")
            endpoint = server.last_endpoint.decode()
            with client_of(keyring, endpoint, pair_of(keyring, "boss")) as client:
                client.send(b"hello")
                assert not server.poll(500)


def test_a_local_socket_asks_for_no_key_beside_one_for_others(keyring, tmp_path):
    with zmq.Context() as context:
        guard = SocketGuard(context, settings(keyring))
        guard.start()
        with context.socket(zmq.ROUTER) as server, context.socket(zmq.DEALER) as here:
            guard.bind(server, f"ipc://{tmp_path}/s", remote="tcp://127.0.0.1:*")
            assert server.last_endpoint.startswith(b"tcp://")
            here.connect(f"ipc://{tmp_path}/s")
            here.send(b"hello")
            assert server.poll(5000)
            assert user_of(server.recv_multipart(copy=False)[-1]) is None
            here.linger = 0
            with context.socket(zmq.DEALER) as stranger:
                stranger.linger = 0
                stranger.connect(server.last_endpoint.decode())
                stranger.send(b"hello")
                assert not server.poll(500)
        guard.stop()


def test_who_is_removed_is_cut_off_at_once_and_others_come_back(keyring):
    with (
        guarded(keyring) as (guard, server, endpoint),
        client_of(keyring, endpoint, pair_of(keyring, "panel")) as panel,
        client_of(keyring, endpoint, pair_of(keyring, "boss")) as boss,
    ):
        for client in (panel, boss):
            client.send(b"hello")
            assert server.poll(5000)
            user = user_of(server.recv_multipart(copy=False)[-1])
        assert guard.may_ask(user, "stop")
        keyring.remove("panel")
        assert guard.reload() == ["key panel"]
        assert until(lambda: guard.refused()["keys"] >= 1)
        boss.send(b"again")
        assert server.poll(5000)
        assert server.recv_multipart()[-1] == b"again"
        panel.send(b"again")
        assert not server.poll(300)


def test_a_client_that_was_refused_is_let_in_when_it_is_added_and_nobody_is_cut(keyring):
    pair = new_pair()
    with (
        guarded(keyring) as (guard, server, endpoint),
        client_of(keyring, endpoint, pair_of(keyring, "boss")) as boss,
        client_of(keyring, endpoint, pair) as client,
    ):
        client.send(b"hello")
        boss.send(b"hello")
        assert until(lambda: guard.refused()["keys"] >= 1 and server.poll(0))
        server.recv_multipart()
        keyring.add("new", "listen", public=pair.public.decode())
        assert guard.reload() == ["key new"]
        assert server.poll(3 * HANDSHAKE_MS)
        assert server.recv_multipart()[-1] == b"hello"
        connected = guard.facts()["accepted"]
        boss.send(b"again")
        assert server.poll(5000)
        assert guard.facts()["accepted"] == connected


def test_a_damaged_list_changes_nothing(keyring):
    with guarded(keyring) as (guard, _, _):
        (keyring.allowed / "bad.key").write_text("x")
        keyring.remove("boss")
        with pytest.raises(ConfigError, match=r"bad\.key"):
            guard.reload()
        assert guard.facts()["clients"] == 2


def test_rights(keyring):
    with guarded(keyring) as (guard, _, _):
        panel, boss = pair_of(keyring, "panel").public, pair_of(keyring, "boss").public
        verbs = ("status", "events.replay", "enroll", "stop", "transfer.begin", "whatever")
        assert [guard.may_ask(panel, verb) for verb in verbs] == [True, True, False, False, False, False]
        assert all(guard.may_ask(boss, verb) for verb in verbs)
        assert all(guard.may_ask(None, verb) for verb in verbs)
        assert not any(guard.may_ask(b"stranger", verb) for verb in verbs)


def test_more_connections_than_may_be_are_cut(keyring):
    with guarded(keyring, max_connections=4) as (guard, server, endpoint):
        port = int(endpoint.rsplit(":", 1)[1])
        with client_of(keyring, endpoint, pair_of(keyring, "boss")) as boss, ExitStack() as flood:
            boss.send(b"hello")
            assert server.poll(5000)
            assert server.recv_multipart()[-1] == b"hello"
            for _ in range(40):
                flood.enter_context(socket_library.create_connection(("127.0.0.1", port)))
            assert until(lambda: guard.refused()["connections"] == 37)
            assert until(lambda: guard.facts()["open"] == 4)
            boss.send(b"still here")
            assert server.poll(5000)
            assert server.recv_multipart()[-1] == b"still here"
