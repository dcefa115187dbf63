"""Messages to the control socket, taken by the real server and answered by the real verbs on a real state."""

import json

import zmq

from edged.config import Config
from edged.control.server import ControlServer
from edged.events.journal import Journal
from edged.events.schema import StatusEvent
from edged.runtime.verbs import Verbs
from edged.security import SocketGuard
from tests.fakes.monitor import fake_stream
from tests.faults.fuzz.target import Target

REQUESTS = (
    {"verb": "status"},
    {"verb": "score.tail", "args": {"stream": "press", "limit": 3}},
    {"verb": "events.replay", "args": {"after": 1, "before": 9, "topics": ["status."], "limit": 5}},
    {"verb": "events.replay", "args": {"since": "2026-01-31T00:00:00Z"}},
    {"verb": "references.show", "args": {"stream": "press"}},
    {"verb": "enroll", "args": {"stream": "press", "clips": ["/srv/clips/a.wav"], "domain": "night", "dry_run": True}},
    {"verb": "enroll", "args": {"stream": "press", "last_s": 30.0}},
    {"verb": "enroll", "args": {"events": ["b-1"], "force": True}},
    {"verb": "feedback", "args": {"event": "b-1", "verdict": "anomaly"}},
    {"verb": "references.rollback", "args": {"stream": "press", "monitor": "keyword", "version": 3}},
    {"verb": "references.remove", "args": {"stream": "press"}},
    {"verb": "references.refit", "args": {"stream": "press"}},
    {"verb": "references.export", "args": {"stream": "press"}},
    {
        "verb": "references.import",
        "args": {"stream": "press", "file": "/srv/clips/bank", "signer": "edged-ed25519:AAAA"},
    },
    {"verb": "transfer.begin"},
    {"verb": "transfer.put", "args": {"transfer": "T", "file": 0, "name": "a.wav", "offset": 0, "data": "UklGRg=="}},
    {"verb": "transfer.get", "args": {"transfer": "T", "offset": 0}},
    {"verb": "transfer.end", "args": {"transfer": "T"}},
    {"verb": "reload"},
    {"verb": "stop", "args": {}},
)


def control(directory):
    """Every message gets one answer in the protocol, and none that says "failed", as bugs are answered."""
    state = directory / "state"
    _write_journal(state)
    config = Config.model_validate({"state_dir": str(state), "control": {"directories": [str(directory / "clips")]}})
    (directory / "clips").mkdir()
    verbs = Verbs(
        config, {"press": fake_stream("press")}, use_bank=lambda *_: None, announce=lambda *_: None,
        status=lambda: {"version": "1"}, stop=lambda: None,
    )  # fmt: skip
    context = zmq.Context()
    server = ControlServer(
        SocketGuard(context, config.security), "inproc://fuzz", config.control, quick=verbs.quick | verbs.long, long={}
    )

    transfers = verbs._sending._transfers

    def run(data):
        if b"transfer" in data:
            for old in list(transfers._open)[:-1]:
                transfers.end(old)
            data = data.replace(b'"T"', json.dumps(next(iter(transfers._open), None) or transfers.begin()).encode())
        server._take([b"peer", b"", data])
        answer = server._answers.popleft()
        assert not server._answers
        assert answer[:2] == [b"peer", b""]
        reply = json.loads(answer[2])
        assert set(reply) == ({"id", "ok", "result"} if reply["ok"] else {"id", "ok", "error"})
        if not reply["ok"]:
            assert "' failed: " not in reply["error"]["message"], reply

    seeds = [json.dumps({"id": "1", **request}).encode() for request in REQUESTS]
    words = sorted({word for request in REQUESTS for word in (request["verb"], *request.get("args", {}))})
    return Target(seeds, run, words=[*words, "null", "1e308", "NaN", "\\ud800", "\\u0000", "-1", "../"])


def _write_journal(state):
    journal = Journal(state)
    event = StatusEvent(boot="b", time="t", stream="a", subject="capture", state="running")
    journal.append([(event.model_copy(update={"seq": n, "id": f"b-{n}"}), n * 10**9) for n in (1, 2, 3)])
    journal.close()
