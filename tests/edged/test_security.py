import socket as stale_socket

import pytest
import zmq
import zmq.auth

from edged.config import SecuritySettings
from edged.errors import ConfigError
from edged.security import SocketGuard


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
    with stale_socket.socket(stale_socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    with context.socket(zmq.ROUTER) as socket:
        SocketGuard(context, SecuritySettings()).bind(socket, f"ipc://{tmp_path}/s")


@pytest.mark.parametrize("endpoint", ["ipc://@edged", "ipc://*"])
def test_a_socket_without_a_file_to_protect_is_refused(context, endpoint):
    """Its permissions cannot be set: that used to end the publisher's thread."""
    with context.socket(zmq.ROUTER) as socket, pytest.raises(ConfigError, match="cannot be bound"):
        SocketGuard(context, SecuritySettings()).bind(socket, endpoint)


@pytest.fixture
def keys(tmp_path):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    for name in ("server", "friend", "stranger"):
        zmq.auth.create_certificates(tmp_path, name)
        (tmp_path / f"{name}.key_secret").chmod(0o600)
    (tmp_path / "friend.key").rename(allowed / "friend.key")
    return tmp_path


def test_a_secret_key_that_others_can_read_is_refused(context, keys):
    (keys / "server.key_secret").chmod(0o644)
    settings = SecuritySettings(server_secret_key=keys / "server.key_secret", allowed_clients=keys / "allowed")
    with pytest.raises(ConfigError, match="chmod 600"):
        SocketGuard(context, settings)


def test_half_a_configuration_is_refused(context, keys):
    with pytest.raises(ConfigError, match="belong together"):
        SocketGuard(context, SecuritySettings(server_secret_key=keys / "server.key_secret"))


@pytest.mark.parametrize(("name", "let_in"), [("friend", True), ("stranger", False), (None, False)])
def test_only_listed_keys_are_let_in(keys, name, let_in):
    settings = SecuritySettings(server_secret_key=keys / "server.key_secret", allowed_clients=keys / "allowed")
    with zmq.Context() as context:
        guard = SocketGuard(context, settings)
        guard.start()
        server, client = context.socket(zmq.REP), context.socket(zmq.REQ)
        guard.bind(server, "tcp://*:*")
        client.linger = server.linger = 0
        if name:
            client.curve_publickey, client.curve_secretkey = zmq.auth.load_certificate(keys / f"{name}.key_secret")
            client.curve_serverkey, _ = zmq.auth.load_certificate(keys / "server.key")
        port = server.last_endpoint.decode().rsplit(":", 1)[1]
        client.connect(f"tcp://127.0.0.1:{port}")
        client.send(b"hello")
        assert bool(server.poll(5000 if let_in else 500)) == let_in
        client.close()
        server.close()
        guard.stop()
