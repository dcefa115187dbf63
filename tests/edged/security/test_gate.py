"""The thread at the door: it waits for nothing that somebody else has taken, and its death is told."""

import struct
import threading

import pytest
import zmq

from edged.security.connections import Connections
from edged.security.counts import Refusals
from edged.security.gate import _ORDERS_ENDPOINT, Gate

WITHIN_S = 20.0


@pytest.fixture
def context():
    made = zmq.Context()
    yield made
    made.destroy(linger=0)


@pytest.fixture
def gate(context):
    return Gate(context, lambda _: True, refusals=Refusals(), max_connections=4, handshake_s=5.0)


def test_an_order_to_cut_that_comes_with_a_connection_does_not_stop_the_gate(gate, context):
    # the order read what the monitor had said; the gate then waited for it, and let nobody in any more
    gate._thread = threading.Thread(target=gate._serve_once, daemon=True)
    monitor, speaker = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    speaker.bind("inproc://speaker")
    monitor.connect("inproc://speaker")
    gate._watched[monitor] = Connections(4, 5.0, Refusals())
    speaker.send_multipart([struct.pack("=hi", zmq.EVENT_ACCEPTED, 1 << 20), b"tcp://127.0.0.1:1"])
    assert monitor.poll(1000)
    order = context.socket(zmq.PUSH)
    order.connect(_ORDERS_ENDPOINT)
    order.send(b"cut")
    gate.start()
    gate._thread.join(WITHIN_S)
    assert not gate._thread.is_alive()
    assert gate.facts()["accepted"] == 1


def test_its_death_is_told_and_nobody_waits_for_it(gate, context, monkeypatch):
    died = []
    monkeypatch.setattr(threading, "excepthook", lambda args: died.append((args.thread.name, str(args.exc_value))))

    def break_down(_order):
        raise ZeroDivisionError("no such event")

    monkeypatch.setattr(gate, "_obey", break_down)
    gate.start()
    with context.socket(zmq.ROUTER) as socket:
        gate.watch(socket)
        gate._thread.join(WITHIN_S)
        gate.watch(socket)
        gate.cut_remote()
    gate.stop()
    assert died == [("security", "no such event")]
