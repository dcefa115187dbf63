"""A publisher in a process of its own, to be killed, stalled or starved of disk by a test.

python -m tests.faults.journal_victim STATE_DIR [KILL_MODE N]

Commands on stdin, one a line: `alarm NUMBER`, `telemetry`, `status`, `waiting`, `arm`, `disarm`, `stop`. Each is
answered by one line. With KILL_MODE, the n-th write below the state directory after `arm` suffers it (see faultio.c),
or `between` dies after the journal has the N-th event and before it is published.
"""

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

import zmq

from edged.config import EventsSettings, SecuritySettings
from edged.events import keeper
from edged.events.publisher import Publisher
from edged.events.schema import ScoreEvent, StatusEvent
from edged.security import SocketGuard

keeper.RETRY_S = keeper._LOOK_EVERY_S = 0.1


def alarm(number):
    return StatusEvent(boot="b", time="t", stream="a", subject="capture", state=str(number), reason="x" * 200)


def score():
    return ScoreEvent(boot="b", time="t", stream="a", sample_start=0, sample_end=1, score=0.0, threshold=1.0,
                      domain="source", bank=1)  # fmt: skip


def die_before_publishing(nth):
    """Between journal and socket: SIGKILL at the n-th event that is about to be sent."""
    works, left = Publisher._send, [nth]

    def send(socket, message):
        if message.topic == "status.a":
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
        works(socket, message)

    Publisher._send = staticmethod(send)


def arm(state_dir, mode, nth):
    faults = ctypes.CDLL(os.environ["LD_PRELOAD"])
    faults.fault_kinds.restype = ctypes.c_char_p
    faults.fault_arm(str(state_dir).encode(), mode, ctypes.c_long(nth))
    return faults


def main():
    state_dir = Path(sys.argv[1])
    mode, nth = (sys.argv[2], int(sys.argv[3])) if len(sys.argv) > 2 else ("", 0)
    if mode == "between":
        die_before_publishing(nth)
    with zmq.Context() as context:
        guard = SocketGuard(context, SecuritySettings())
        settings = EventsSettings(heartbeat_s=0.1, low_space_mib=int(os.environ.get("LOW_SPACE_MIB", "0")))
        publisher = Publisher(
            guard, f"ipc://{os.environ['SOCKET']}", state_dir, settings=settings, boot=f"b{os.getpid()}"
        )
        publisher.start()
        faults = None
        print("ready", flush=True)
        for line in sys.stdin:
            verb, *rest = line.split()
            answer = {}
            if verb == "alarm":
                publisher.alarm(alarm(int(rest[0])), time.time_ns())
            elif verb == "telemetry":
                publisher.telemetry(score())
            elif verb == "arm":
                faults = arm(state_dir, int(mode), nth)
            elif verb == "disarm":
                answer = {"calls": faults.fault_kinds().decode()}
            elif verb == "status":
                answer = publisher.status() | {"storage": publisher.storage()}
            elif verb == "waiting":
                answer = {"seqs": [event.seq for event in publisher.waiting()]}
            elif verb == "stop":
                break
            print(json.dumps(answer), flush=True)
        assert publisher.stop(20.0)


if __name__ == "__main__":
    main()
