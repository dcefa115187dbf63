"""What of a stream counts as normal sound, and how it is cut into stretches."""

from edged.flow import Detection, Outcome, Scored
from edged.runtime import recorder as module
from edged.runtime.recorder import MAX_WAITING, SETTLING_SEGMENTS, Recorder

HOP = 100


class Stream:
    """Pushes segments one after the other."""

    def __init__(self):
        self.recorder, self.sample = Recorder(HOP), 0

    def push(self, score, kind=None, domain="source", threshold=4.5, bank=1, state="ok"):
        start, end = self.sample, self.sample + 4 * HOP
        scored = Scored(start, end, score, threshold, domain, state)
        found = (Detection(kind, start, end, start, None, score, threshold),) if kind else ()
        self.recorder.push(Outcome((scored,), found), bank, lambda sample: 10 * sample)
        self.sample += HOP

    def taken(self):
        return [(s.scores.tolist(), s.continues, s.ended_in_alarm) for _, s in self.recorder.take()]


def test_consecutive_segments_are_one_stretch_with_its_time():
    stream = Stream()
    stream.sample = 700
    for score in (1.0, 2.0, 3.0):
        stream.push(score)
    ((bank, stretch),) = stream.recorder.take()
    assert (bank, stretch.domain, stretch.started_ns, stretch.ceiling) == (1, "source", 7000, 4.5)
    assert (stretch.scores.tolist(), stretch.continues) == ([1.0, 2.0, 3.0], False)
    assert stream.recorder.take() == []


def test_what_is_taken_in_parts_continues():
    stream = Stream()
    stream.push(1.0)
    assert stream.taken() == [([1.0], False, False)]
    stream.push(2.0)
    assert stream.taken() == [([2.0], True, False)]


def test_domains_thresholds_and_banks_have_their_own_stretches():
    stream = Stream()
    stream.push(1.0)
    stream.push(2.0, domain="hot")
    stream.push(3.0, domain="hot", threshold=6.0)
    stream.push(4.0, domain="hot", threshold=6.0, bank=2)
    taken = stream.recorder.take()
    assert [(bank, s.domain, s.ceiling, s.continues) for bank, s in taken] == [
        (1, "source", 4.5, False), (1, "hot", 4.5, True), (1, "hot", 6.0, True), (2, "hot", 6.0, False),
    ]  # fmt: skip


def test_a_gap_ends_a_stretch():
    stream = Stream()
    stream.push(1.0)
    stream.sample += 1
    stream.push(2.0)
    assert stream.taken() == [([1.0], False, False), ([2.0], False, False)]


def test_alarms_and_what_follows_them_are_left_out():
    stream = Stream()
    stream.push(1.0)
    stream.push(5.0)
    stream.push(6.0, "onset")
    stream.push(7.0)
    stream.push(1.0, "cleared")
    for _ in range(SETTLING_SEGMENTS):
        stream.push(2.0)
    stream.push(3.0)
    assert stream.taken() == [([1.0, 5.0], False, True), ([3.0], False, False)]


def test_an_alarm_right_after_storing_still_ends_the_stretch():
    stream = Stream()
    stream.push(1.0)
    stream.taken()
    stream.push(6.0, "onset")
    assert stream.taken() == [([], True, True)]


def test_unjudged_segments_are_no_normal_sound():
    stream = Stream()
    stream.push(1.0)
    stream.push(0.0, state="silent")
    stream.push(2.0)
    assert stream.taken() == [([1.0], False, False), ([2.0], False, False)]


def test_drift_is_no_alarm():
    stream = Stream()
    stream.push(1.0)
    stream.push(2.0, "drift")
    assert stream.taken() == [([1.0, 2.0], False, False)]


def test_what_nobody_takes_is_bounded_and_counted(monkeypatch):
    monkeypatch.setattr(module, "MAX_STRETCH", 2)
    stream = Stream()
    for number in range(2 * (MAX_WAITING + 7)):
        stream.push(float(number))
    taken = stream.taken()
    assert len(taken) == MAX_WAITING
    assert taken[-1][0] == [2.0 * (MAX_WAITING + 7) - 2, 2.0 * (MAX_WAITING + 7) - 1]
    assert stream.recorder.given_up == 2 * 7
