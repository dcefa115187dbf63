import numpy as np
import pytest

from edged.assembly import Assembly
from edged.config import Config
from edged.errors import ControlError, EdgedError, EnrolmentError, StateError, UsageError
from edged.events.journal import Journal
from edged.events.schema import ScoreEvent, StatusEvent
from edged.flow import Block
from edged.references.store import BankStore
from edged.ring import Ring
from edged.runtime.just_heard import just_heard
from edged.runtime.verbs import Verbs
from tests.fakes.monitor import fake_stream


@pytest.fixture
def verbs(tmp_path):
    asked = []
    made = Verbs(
        Config(state_dir=tmp_path), {"press": fake_stream("press")}, use_bank=lambda *_: None, announce=asked.append,
        status=lambda: {"version": "1"}, stop=lambda: asked.append("stop"),
    )  # fmt: skip
    made.asked = asked
    return made


def test_status_and_stop(verbs):
    assert verbs.quick["status"]({}) == {"version": "1"}
    assert verbs.quick["stop"]({}) == {}
    assert verbs.asked == ["stop"]


def test_replay_reads_the_journal(verbs, tmp_path):
    journal = Journal(tmp_path, max_events=100)
    event = StatusEvent(boot="b", time="t", stream="a", subject="capture", state="running")
    journal.append([(event.model_copy(update={"seq": n}), n * 10**9) for n in (1, 2, 3)])
    journal.close()
    answer = verbs.quick["events.replay"]({"after": 1, "topics": ["status."]})
    assert ([e["seq"] for e in answer["events"]], answer["last_seq"]) == ([2, 3], 3)
    answer = verbs.quick["events.replay"]({"since": "1970-01-01T00:00:03Z"})
    assert [e["seq"] for e in answer["events"]] == [3]


def test_the_latest_scores(verbs):
    stream = verbs._streams["press"]
    for n in range(5):
        stream.scores.append(
            ScoreEvent(boot="b", time="t", stream="press", sample_start=n, sample_end=n + 1, score=n, threshold=1,
                       domain="", bank=1)
        )  # fmt: skip
    scores = verbs.quick["score.tail"]({"stream": "press", "limit": 2})["scores"]
    assert [score["score"] for score in scores] == [3, 4]


@pytest.mark.parametrize(
    ("verb", "args", "error", "message"),
    [
        ("score.tail", {}, ControlError, "argument stream"),
        ("score.tail", {"stream": "press", "limit": 0}, ControlError, "argument limit"),
        ("score.tail", {"stream": "nowhere"}, UsageError, "running: press"),
        ("events.replay", {"after": -1}, ControlError, "argument after"),
        ("events.replay", {"after": 10**30}, ControlError, "argument after"),
        ("enroll", {"stream": "press", "last_s": float("inf")}, ControlError, "argument last_s"),
        ("references.rollback", {"stream": "press", "version": 10**30}, ControlError, "argument version"),
        ("events.replay", {"since": "soon"}, UsageError, "RFC 3339"),
        ("references.show", {"stream": "press"}, StateError, "nothing is enrolled"),
        ("references.rollback", {"stream": "press"}, StateError, "no version"),
        ("references.rollback", {"stream": "press", "monitor": "smell"}, ControlError, "argument monitor"),
        ("references.refit", {"stream": "press"}, StateError, "no references"),
        ("references.refit", {"stream": "press", "scoring": "lof"}, ControlError, "argument scoring"),
        ("enroll", {"stream": "press"}, UsageError, "name clips, or events, or last_s"),
        ("enroll", {"stream": "press", "last_s": 60}, EnrolmentError, "less than 10 s"),
        ("enroll", {"stream": "press", "last_s": 60, "keyword": "stop"}, UsageError, "a keyword needs clips"),
        ("enroll", {"stream": "press", "clips": ["/nowhere"]}, UsageError, "outside of what control messages may name"),
        ("enroll", {"stream": "press", "transfer": "x"}, UsageError, "transfer: no such one"),
        ("references.import", {"stream": "press"}, UsageError, "name a file, or a transfer"),
        ("transfer.put", {"transfer": "x"}, ControlError, "argument file"),
        ("enroll", {"stream": "press", "clips": ["a"] * 10_001}, ControlError, "argument clips"),
        ("enroll", {"stream": "press", "clips": "a"}, ControlError, "argument clips"),
        ("enroll", {"last_s": 60}, ControlError, "argument stream"),
        (
            "enroll",
            {"stream": "press", "events": ["b-1"], "last_s": 60},
            UsageError,
            "name clips, or events, or last_s",
        ),
        ("enroll", {"events": ["b-1"]}, EnrolmentError, "no event 'b-1'"),
        ("enroll", {"events": ["b-1"], "keyword": "stop"}, UsageError, "a keyword needs clips"),
        ("feedback", {"event": "b-1", "verdict": "odd"}, ControlError, "argument verdict"),
        ("feedback", {"event": "", "verdict": "normal"}, ControlError, "argument event"),
        ("feedback", {"event": "b-1", "verdict": "anomaly"}, EnrolmentError, "no event 'b-1'"),
        ("stop", {"now": True}, ControlError, "argument now"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(verbs, verb, args, error, message):
    assert issubclass(error, EdgedError)
    with pytest.raises(error, match=message):
        {**verbs.quick, **verbs.long}[verb](args)


def test_silence_in_what_was_heard_is_passed_over_and_said(verbs):
    ring = verbs._streams["press"].ring = Ring(60.0)
    sound = 0.1 * np.sin(np.arange(160_000) * 0.1, dtype=np.float32)
    ring.write(Block(0, np.concatenate([sound, np.zeros(160_000, np.float32), sound * 0.5])))
    clips, notes = just_heard(verbs._streams["press"], 60.0)
    assert len(clips) == 2
    assert notes == ["passed over: press@160000: silent", "20 s of the 60 s asked for could be used"]


def test_what_was_heard_twice_is_taken_once(verbs):
    """A file that is played over and over gave as many references as it was played, and the report counted one."""
    ring = verbs._streams["press"].ring = Ring(60.0)
    sound = 0.1 * np.sin(np.arange(160_000) * 0.1, dtype=np.float32)
    ring.write(Block(0, np.concatenate([sound, sound, 0.5 * sound])))
    clips, notes = just_heard(verbs._streams["press"], 30.0)
    assert [clip.name for clip in clips] == ["press@0", "press@320000"]
    assert notes[0] == "passed over: press@160000: a copy of press@0"


def test_nothing_but_silence_is_refused(verbs):
    verbs._streams["press"].ring.write(Block(0, np.zeros(200_000, np.float32)))
    with pytest.raises(EnrolmentError, match="only silence"):
        verbs.long["enroll"]({"stream": "press", "last_s": 12.0})


def test_a_signer_is_no_file_of_the_daemons(verbs, tmp_path):
    # the refusal quoted the first bytes of whatever file a client named
    (tmp_path / "secret").write_text("the daemon's own")
    with pytest.raises(UsageError, match="no public signing key") as refusal:
        verbs.import_({"stream": "press", "file": "/absent", "signer": str(tmp_path / "secret")})
    assert "own" not in str(refusal.value)


def test_a_roll_back_reaches_a_monitor_that_has_not_taken_the_version_before_yet(tmp_path, monkeypatch):
    # it was compared with what the monitor used at that instant, and left the monitor with the version rolled back
    queued = []
    stream = fake_stream("press")
    (monitor,) = stream.monitors
    monitor.bank_version = 1
    made = Verbs(
        Config(state_dir=tmp_path), {"press": stream}, use_bank=lambda monitor, bank: queued.append((monitor, bank)),
        announce=lambda _: None, status=dict, stop=lambda: None,
    )  # fmt: skip
    monkeypatch.setattr(Assembly, "bank", lambda _self, store, *key: store.active_version(*key))
    with BankStore(tmp_path) as store:
        for based_on in (0, 1):
            store.commit("press", "anomaly", {}, {}, reason="test", based_on=based_on)
    assert made.reload({})["changed"] == ["press/anomaly"]
    made.rollback({"stream": "press"})
    for taker, bank in queued:
        taker.use_bank(bank)
    assert monitor.bank_version == 1
    assert made.reload({})["changed"] == []


def test_nothing_can_be_removed_that_never_was(verbs):
    """A mistyped stream was answered with success."""
    with pytest.raises(StateError, match="nothing was ever enrolled"):
        verbs.remove({"stream": "pres-3"})
