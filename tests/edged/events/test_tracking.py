"""The subscriber's books without a socket: any loss, any restart, any message."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.events.cursor import Position
from edged.events.tracking import MAX_HOLES, PAGE_EVENTS, Tracker


def event(seq, boot="b", journal="j", topic="status.a", **more):
    return [topic.encode(), json.dumps({"boot": boot, "journal": journal, "seq": seq, **more}).encode()]


def heartbeat(last_seq, boot="b", journal="j"):
    return [b"edged.heartbeat", json.dumps({"boot": boot, "journal": journal, "last_seq": last_seq}).encode()]


class Daemon:
    """A journal that answers as the control socket does."""

    def __init__(self, journal="j"):
        self.journal, self.boot, self.held, self.seq = journal, "b0", {}, 0

    def publish(self):
        self.seq += 1
        self.held[self.seq] = {"boot": self.boot, "journal": self.journal, "seq": self.seq}
        return [b"status.a", json.dumps(self.held[self.seq]).encode()]

    def replay(self, request):
        low, high = request["after"], min(request["before"], self.seq + 1)
        found = [self.held[seq] for seq in range(low + 1, high) if seq in self.held]
        more = len(found) > request["limit"]
        found = found[: request["limit"]]
        to = found[-1]["seq"] if more else max(low, high - 1)
        missing = sum(seq not in self.held for seq in range(low + 1, to + 1))
        return {"events": found, "next": to if more else None, "missing": missing, "journal": self.journal}


def drain(tracker, daemon=None, now_s=0.0):
    """Everything the tracker gives, asking the daemon as often as it wants."""
    got = []
    while True:
        while (one := tracker.pop()) is not None:
            got += [one["seq"]] if "seq" in one else []
        request = tracker.request(now_s)
        if request is None:
            return got
        if daemon is None:
            tracker.failed(now_s)
        else:
            tracker.answered(daemon.replay(request), now_s)


@given(st.lists(st.sampled_from(["heard", "lost", "lost", "beat", "forgotten"]), max_size=60), st.integers(1, 7))
def test_whatever_is_lost_on_the_way_comes_once_and_in_order(steps, page):
    daemon, tracker, got, gone = Daemon(), Tracker(start=Position(0, "j")), [], 0
    import edged.events.tracking as module

    was, module.PAGE_EVENTS = module.PAGE_EVENTS, page
    try:
        for step in [*steps, "beat"]:
            if step == "beat":
                tracker.take(heartbeat(daemon.seq, daemon.boot))
            else:
                message = daemon.publish()
                if step == "heard":
                    tracker.take(message)
                if step == "forgotten":
                    del daemon.held[daemon.seq]
                    gone += 1
            got += drain(tracker, daemon)
    finally:
        module.PAGE_EVENTS = was
    assert got == sorted(daemon.held)
    assert tracker.counts.missed == gone
    assert tracker.position == Position(daemon.seq, "j")


def test_a_journal_that_cannot_be_asked_holds_nothing_back_and_is_asked_later():
    daemon, tracker = Daemon(), Tracker(start=Position(0))
    messages = [daemon.publish() for _ in range(6)]
    tracker.take(messages[0])
    assert drain(tracker) == [1]
    tracker.take(messages[3])
    assert drain(tracker) == [4]
    tracker.take(messages[4])
    assert drain(tracker) == [5]
    assert tracker.position.seq == 1  # a new start would begin at the hole
    wait_s = tracker.wait_s(0.0)
    assert 0.2 <= wait_s <= 0.5
    assert drain(tracker, daemon, now_s=wait_s) == [2, 3]
    assert tracker.position.seq == 5
    tracker.take(messages[5])
    assert drain(tracker) == [6]


def test_asking_again_is_capped_and_spread():
    tracker = Tracker(start=Position(0))
    tracker.take(event(9))
    waits, now_s = [], 0.0
    for _ in range(30):
        tracker.request(now_s)
        tracker.failed(now_s)
        waits.append(tracker.wait_s(now_s))
        now_s += waits[-1]
    assert max(waits) <= 30.0
    assert min(waits[10:]) >= 15.0
    assert len(set(waits[10:])) > 10


def test_a_new_state_is_read_from_its_beginning():
    tracker, new = Tracker(start=Position(100, "old")), Daemon("new")
    tracker.take(heartbeat(100, "b", "old"))
    new.boot = "b2"
    for _ in range(3):
        message = new.publish()
    tracker.take(message)
    assert drain(tracker, new) == [1, 2, 3]
    assert tracker.counts.renumbered == 1
    assert tracker.counts.restarts == 1
    assert tracker.position == Position(3, "new")


def test_a_new_state_that_has_gone_further_than_the_old_is_noticed_too():
    tracker, new = Tracker(start=Position(2, "old")), Daemon("new")
    for _ in range(5):
        message = new.publish()
    tracker.take(message)
    assert drain(tracker, new) == [1, 2, 3, 4, 5]


def test_numbers_that_died_with_the_daemon_and_are_given_again_are_no_duplicates():
    tracker = Tracker(start=Position(4, "j"))
    tracker.take(event(5, "b1"))
    assert drain(tracker) == [5]
    tracker.take(event(5, "b2"))
    assert drain(tracker) == [5]
    tracker.take(event(5, "b2"))
    assert drain(tracker) == []
    assert tracker.counts.duplicates == 1


def test_a_number_out_of_this_world_is_put_right_by_the_next_heartbeat():
    tracker = Tracker(start=Position(0, "j"), can_ask=False)
    tracker.take(event(1))
    tracker.take(event(1 << 61))
    tracker.take(heartbeat(1))
    tracker.take(event(2))
    assert drain(tracker) == [1, 1 << 61, 2]


def test_never_more_than_a_few_ranges_are_remembered():
    daemon, tracker, got = Daemon(), Tracker(start=Position(0)), []
    for number in range(40 * MAX_HOLES):
        message = daemon.publish()
        if number % 2:
            tracker.take(message)
            got += drain(tracker)
    assert len(tracker._holes) <= MAX_HOLES
    got += drain(tracker, daemon, now_s=math.inf)
    assert set(got) == set(range(1, daemon.seq + 1))
    assert tracker.counts.missed == 0


def test_only_topics_that_are_wanted_come_out():
    tracker = Tracker(["anomaly."], Position(0))
    tracker.take(event(1, topic="status.a"))
    tracker.take(event(2, topic="anomaly.a"))
    tracker.take([b"score.a", b'{"boot":"b"}'])
    assert drain(tracker) == [2]
    assert tracker.counts.missed == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
almost_events = st.fixed_dictionaries(
    {"boot": st.just("b") | json_values},
    optional={"seq": st.integers(-2, 1 << 70) | json_values, "last_seq": st.integers(-2, 1 << 70) | json_values,
              "journal": st.just("j") | json_values},
)  # fmt: skip
monsters = [b"[" * 100_000, b'{"boot":"b","seq":' + b"9" * 100_000 + b"}", b'{"boot":"b","seq":NaN}']
bodies = st.binary(max_size=40) | almost_events.map(json.dumps).map(str.encode) | st.sampled_from(monsters)
topics = st.sampled_from([b"status.a", b"edged.heartbeat", b"\xff\xfe", b"", b"x" * 5000]) | st.binary(max_size=5)
hostile = st.lists(bodies | topics, max_size=4) | st.tuples(topics, bodies)


@given(st.lists(hostile, max_size=20), st.lists(json_values, max_size=20), st.booleans())
@settings(max_examples=400)
def test_no_message_and_no_answer_raises_or_grows_memory(messages, answers, asks):
    tracker = Tracker(can_ask=asks)
    for message in messages:
        tracker.take(list(message))
        for answer in answers:
            while tracker.pop() is not None:
                pass
            if tracker.request(math.inf) is None:
                break
            tracker.answered(answer if isinstance(answer, dict) else {"events": answer}, 0.0)
        while tracker.pop() is not None:
            pass
        assert len(tracker._holes) <= MAX_HOLES
        assert len(tracker._ready) <= PAGE_EVENTS + 1
    tracker._holes.clear()
    last = (1 << 62) - 1
    tracker.take(event(last, "sane", "sane"))
    assert tracker._last == last


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"events": None},
        {"events": [1]},
        {"events": [{"seq": 1}]},  # not in the hole
        {"events": [{"seq": 12}, {"seq": 11}]},  # not in order
        {"events": [{"seq": True}]},
        {"events": [], "next": 10},  # would ask for the same for ever
        {"events": [], "next": "11"},
        {"events": [], "missing": -1},
        {"events": [{"seq": 11}] * (PAGE_EVENTS + 1)},
    ],
)
def test_answers_that_make_no_sense_are_counted_and_asked_for_again(answer):
    tracker = Tracker(start=Position(10))
    tracker.take(event(20))
    assert tracker.request(0.0)["after"] == 10
    tracker.answered(answer, 0.0)
    assert tracker.counts.malformed == 1
    assert tracker.pop()["seq"] == 20
    assert tracker.request(30.0)["after"] == 10
