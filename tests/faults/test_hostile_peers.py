"""Peers that may not connect, or mean harm, against a real daemon: refused, counted, and nobody else notices."""

import contextlib
import os
import resource
import socket
import struct
import threading
import time

import numpy as np
import psutil
import pytest
import soundfile
import zmq

from edged.config import SecuritySettings
from edged.control.client import ControlClient
from edged.errors import ControlError
from edged.events.subscriber import CurveClient, Subscriber
from edged.security.guard import HANDSHAKE_MS
from edged.security.keyring import Keyring
from edged.security.keys import new_pair
from tests.integration.helpers import RATE_HZ, Plant, assert_books_balance, hum, receive_until

N_HALF_OPEN = 1000
MAX_CONNECTIONS = SecuritySettings().max_connections
NULL_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
CURVE_GREETING = NULL_GREETING.replace(b"NULL\0", b"CURVE")
MARKER = "press-with-a-name-to-look-for"


class Reachable:
    """A daemon that others can reach, and a client that may control it."""

    def __init__(self, plant, keyring, process):
        self.plant, self.keyring, self.process = plant, keyring, psutil.Process(process.pid)
        self.events, self.control = (plant.settings[section]["bind"] for section in ("events", "control"))
        self.ports = [int(endpoint.rsplit(":", 1)[1]) for endpoint in (self.events, self.control)]
        self.boss = ControlClient(self.control, curve=self.curve("boss"))

    def curve(self, name):
        return CurveClient(self.keyring.server_public, self.keyring.directory / "clients" / f"{name}.key_secret")

    def refused(self):
        return self.boss.call("status")["security"]["refused"]

    def until_refused(self, what, n, timeout_s=30.0):
        """Wait until so many are counted; the count."""
        deadline_s = time.monotonic() + timeout_s
        while (found := self.refused()[what]) < n and time.monotonic() < deadline_s:
            time.sleep(0.1)
        return found


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, small_bundle):
    directory = tmp_path_factory.mktemp("hostile")
    keyring = Keyring(directory / "keys")
    keyring.init(force=False)
    keyring.add("panel", "listen")
    keyring.add("boss", "control")
    plant = Plant(directory, small_bundle)
    soundfile.write(directory / "day.wav", hum(5), RATE_HZ)
    plant.add(MARKER, {"source": "file", "path": str(directory / "day.wav"), "loop": True})
    for section in ("events", "control"):
        plant.settings.setdefault(section, {})["bind"] = f"tcp://127.0.0.1:{free_port()}"
    plant.settings["security"] = {
        "server_secret_key": str(keyring.server_secret),
        "allowed_clients": str(keyring.allowed),
    }
    with plant.daemon() as process, plant.client(process):
        yield Reachable(plant, keyring, process)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Meanwhile:
    """A client that may control asks again and again while it is attacked; how long the answers take."""

    def __init__(self, daemon):
        self._daemon = daemon
        self._over = threading.Event()
        self.took_s = []
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        """It is connected before the attack begins: who comes in the midst of one may have to try again."""
        self._thread.start()
        while not self.took_s and self._thread.is_alive():
            time.sleep(0.01)
        assert self.took_s
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _ask(self):
        with ControlClient(self._daemon.control, curve=self._daemon.curve("boss")) as client:
            while not self._over.is_set():
                start_s = time.monotonic()
                client.call("ping")  # raises when there is no answer in 10 s
                self.took_s.append(time.monotonic() - start_s)
                self._over.wait(0.01)

    def report(self, what):
        took_ms = 1000 * np.array(self.took_s)
        print(f"{what}: {len(took_ms)} answers, median {np.median(took_ms):.1f} ms, "
              f"99 % {np.percentile(took_ms, 99):.1f} ms, longest {took_ms.max():.1f} ms")  # fmt: skip


def connections(daemon, n):
    """Half of them to each of the daemon's ports."""
    return [socket.create_connection(("127.0.0.1", daemon.ports[k % 2]), timeout=10.0) for k in range(n)]


@pytest.mark.parametrize("first_bytes", [b"", CURVE_GREETING], ids=["silent", "greeted"])
def test_a_thousand_half_open_handshakes(daemon, first_bytes):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    before, fds, rss = daemon.refused(), daemon.process.num_fds(), daemon.process.memory_info().rss
    peers = []
    with Meanwhile(daemon) as legitimate:
        try:
            peers = connections(daemon, N_HALF_OPEN)
            for peer in peers:
                with contextlib.suppress(OSError):  # those beyond the limit are gone already
                    peer.sendall(first_bytes)
            deadline_s = time.monotonic() + HANDSHAKE_MS / 2000
            while daemon.process.num_fds() > fds + 2 * MAX_CONNECTIONS + 20 and time.monotonic() < deadline_s:
                time.sleep(0.05)
            held = daemon.process.num_fds()
            n_failed = daemon.until_refused("handshakes", before["handshakes"] + N_HALF_OPEN)
        finally:
            for peer in peers:
                peer.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    legitimate.report(f"{N_HALF_OPEN} half-open handshakes")
    assert n_failed >= before["handshakes"] + N_HALF_OPEN
    assert daemon.refused()["connections"] > before["connections"]
    assert held <= fds + 2 * MAX_CONNECTIONS + 20
    assert daemon.process.num_fds() <= fds + 10
    assert daemon.process.memory_info().rss - rss < 32 << 20


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 50,
    "tls": bytes.fromhex("160301020001000 1fc0303".replace(" ", "")) + os.urandom(500),
    "zeros": bytes(10_000),
    "noise": np.random.default_rng(1).bytes(100_000),
    "another mechanism": NULL_GREETING + b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x06DEALER",
    "a key of its own making": NULL_GREETING
    + b"\x04\x29\x05READY\x07User-Id\0\0\0\x04boss\x0bSocket-Type\0\0\0\x06DEALER",
    "a frame without end": NULL_GREETING + b"\x02" + struct.pack(">Q", 1 << 62) + b"x" * 1000,
    "hello of no key": CURVE_GREETING + b"\x04\xc8\x05HELLO\x01\x00" + bytes(192),
    "hello too long": CURVE_GREETING + b"\x06" + struct.pack(">Q", 1 << 30) + b"\x05HELLO" + b"x" * 10_000,
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE)
def test_bytes_that_are_no_handshake(daemon, sent):
    before = daemon.refused()["handshakes"]
    peers = connections(daemon, 20)
    for peer in peers:
        with contextlib.suppress(OSError):
            peer.sendall(sent)
    assert daemon.until_refused("handshakes", before + 20) >= before + 20
    for peer in peers:
        peer.close()
    assert_books_balance(daemon.boss.call("status"))


def test_frames_that_are_large_but_never_end_hold_little_memory(daemon):
    """A frame is taken in whole before anybody knows who sends it: what all connections hold of them is bounded."""
    limit = 2 << 20
    frame = CURVE_GREETING + b"\x06" + struct.pack(">Q", limit) + bytes(limit - 1000)
    rss, peers = daemon.process.memory_info().rss, connections(daemon, 4 * MAX_CONNECTIONS)
    for peer in peers:
        peer.setblocking(False)
        with contextlib.suppress(OSError):
            for at in range(0, len(frame), 1 << 16):
                peer.send(frame[at : at + (1 << 16)])
    grown = daemon.process.memory_info().rss - rss
    for peer in peers:
        peer.close()
    print(f"{len(peers)} unfinished frames of 2 MiB: {grown / 2**20:.0f} MiB more memory at most")
    assert grown < MAX_CONNECTIONS * limit + (32 << 20)


def test_a_handshake_drop_by_drop_is_ended(daemon):
    def drip(peer):
        deadline_s = time.monotonic() + 3 * HANDSHAKE_MS / 1000
        for byte in CURVE_GREETING * 100:
            peer.sendall(bytes([byte]))
            assert time.monotonic() < deadline_s
            time.sleep(0.1)

    with connections(daemon, 1)[0] as peer, pytest.raises(OSError, match=r"reset|Broken"):
        drip(peer)


@pytest.mark.parametrize("with_key", [False, True], ids=["no key", "a key that is not listed"])
def test_strangers_are_refused_and_counted(daemon, with_key):
    what = "keys" if with_key else "handshakes"
    before = daemon.refused()[what]
    for endpoint, kind in ((daemon.control, zmq.DEALER), (daemon.events, zmq.SUB)):
        with zmq.Context.instance().socket(kind) as stranger:
            stranger.linger = 0
            if kind == zmq.SUB:
                stranger.subscribe("")
            if with_key:
                pair = new_pair()
                stranger.curve_publickey, stranger.curve_secretkey = pair.public, pair.secret
                stranger.curve_serverkey = daemon.keyring.public().encode()
            stranger.connect(endpoint)
            if kind == zmq.DEALER:
                stranger.send(b'{"id": "1", "verb": "stop"}')
            assert not stranger.poll(1000)
    assert daemon.until_refused(what, before + 2) >= before + 2


def test_a_listeners_key_on_the_control_socket(daemon):
    before = daemon.refused()["requests_forbidden"]
    with ControlClient(daemon.control, curve=daemon.curve("panel")) as panel:
        assert panel.call("status")["streams"].keys() == {MARKER}
        for verb in ("stop", "reload", "enroll", "feedback", "references.import", "transfer.begin", "nonsense"):
            with pytest.raises(ControlError, match="may listen, not control"):
                panel.call(verb)
    assert daemon.refused()["requests_forbidden"] == before + 7


def test_requests_that_are_too_large(daemon):
    """Up to twice the limit the sender is told; beyond it is cut off before the daemon has taken the message in."""
    before, rss = daemon.refused()["requests_too_large"], daemon.process.memory_info().rss
    with Meanwhile(daemon) as legitimate, zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        daemon.curve("boss").apply(peer)
        peer.connect(daemon.control)
        peer.send(b'{"id": "1", "verb": "ping", "args": {"x": "' + b"x" * 1_500_000 + b'"}}')
        assert peer.poll(10_000)
        assert b"too large" in peer.recv()
        for _ in range(5):
            peer.send(bytes(64 << 20))
        assert not peer.poll(1000)
    legitimate.report("frames of 64 MiB")
    assert daemon.refused()["requests_too_large"] == before + 1
    assert daemon.process.memory_info().rss - rss < 32 << 20


def test_requests_that_are_none(daemon):
    before = daemon.refused()["requests_malformed"]
    with zmq.Context.instance().socket(zmq.DEALER) as peer:
        peer.linger = 0
        daemon.curve("boss").apply(peer)
        peer.connect(daemon.control)
        for body in (b"", b"{", b"null", b'{"id": 1}', b"[" * 50_000, b"\xff\xfe", b'{"id": "1", "verb": ""}'):
            peer.send(body)
            assert peer.poll(10_000)
            assert b'"ok": false' in peer.recv()
        peer.send_multipart([b"a", b"b", b"c", b"d"])
    assert daemon.until_refused("requests_malformed", before + 8) == before + 8


def test_nothing_goes_over_the_wire_in_clear(daemon):
    """Every packet of an exchange by which events and a status come across, as the kernel saw them."""
    try:
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    except (PermissionError, OSError) as error:
        pytest.skip(f"packets cannot be captured here: {error}")
    wire.bind(("lo", 0))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
    wire.settimeout(1.0)
    with wire:
        for keys in ("panel", "boss"):
            curve = daemon.curve(keys)
            with (
                ControlClient(daemon.control, curve=curve) as client,
                Subscriber(daemon.events, control_endpoint=daemon.control, after_seq=0, curve=curve) as listener,
            ):
                assert MARKER in client.call("status")["streams"]
                receive_until(listener, lambda event: event.get("stream") == MARKER)
        encrypted = captured(wire, daemon.ports)
        # the same words over a socket without keys are seen: the look-out works
        clear = zmq.Context.instance().socket(zmq.PUSH)
        port = clear.bind_to_random_port("tcp://127.0.0.1")
        with clear, zmq.Context.instance().socket(zmq.PULL) as pull:
            pull.connect(f"tcp://127.0.0.1:{port}")
            clear.send(MARKER.encode())
            assert pull.recv() == MARKER.encode()
            assert MARKER.encode() in captured(wire, [port])
    assert len(encrypted) > 2000
    for word in (MARKER, "heartbeat", "status", "samples", "verb", "streams", "seq"):
        assert word.encode() not in encrypted


def captured(wire, ports):
    """The payload bytes of all TCP packets from or to these ports that wait."""
    seen = b""
    with contextlib.suppress(TimeoutError):
        while True:
            packet = wire.recv(1 << 17)[14:]  # behind the Ethernet header: IPv4
            tcp = packet[4 * (packet[0] & 15) :]
            if packet[9] == 6 and set(struct.unpack(">HH", tcp[:4])) & set(ports):
                seen += tcp[4 * (tcp[12] >> 4) :]
    return seen


def test_it_was_the_same_daemon_all_along_and_lost_nothing(daemon):
    status = daemon.boss.call("status")
    assert daemon.process.is_running()
    assert_books_balance(status)
    assert status["streams"][MARKER]["samples"]["anomaly"]["lost"] == 0
    assert "Traceback" not in (daemon.plant.directory / "log").read_text()
