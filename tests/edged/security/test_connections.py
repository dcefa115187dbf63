import os
from pathlib import Path

import zmq

from edged.security.connections import EVENTS, Connections, cut
from edged.security.counts import Refusals
from edged.security.gate import Gate


def test_what_is_no_connection_is_left_alone_and_costs_no_descriptor(tmp_path):
    """Each number that meanwhile belonged to a file left a copy of it open."""
    (tmp_path / "file").touch()
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    n_open = len(list(Path("/proc/self/fd").iterdir()))
    try:
        assert not cut(descriptor)
        assert len(list(Path("/proc/self/fd").iterdir())) == n_open
    finally:
        os.close(descriptor)


def test_who_has_come_only_just_now_is_cut_too():
    """A client that was removed stayed, if the gate was told of the change before it took note of the connection."""
    with zmq.Context() as context, context.socket(zmq.PULL) as server, context.socket(zmq.PUSH) as client:
        monitor = server.get_monitor_socket(EVENTS)
        port = server.bind_to_random_port("tcp://127.0.0.1")
        client.setsockopt(zmq.LINGER, 0)
        client.connect(f"tcp://127.0.0.1:{port}")
        gate = Gate(context, lambda _key: True, refusals=Refusals(), max_connections=9, handshake_s=5.0)
        connections = gate._watched[monitor] = Connections(9, 5.0, Refusals())
        assert monitor.poll(10_000)
        gate._obey([b"cut"])
        while connections.open:
            assert monitor.poll(10_000)
            gate._note(monitor)
        assert connections.accepted >= 1
        server.disable_monitor()
