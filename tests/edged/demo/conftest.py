"""A daemon that does everything right, as the events it would publish."""

import numpy as np
import pytest

from edged.demo.record import Enrolled, Record
from edged.demo.timeline import HALL, KEYWORD, MACHINES, drawn_timeline


def event(kind, stream, at_s, onset_s, offset_s=None, *, bank=1, keyword="", score=9.0):
    """One published event, as a subscriber gets it."""
    return {
        "kind": kind,
        "stream": stream,
        "sample_end": int(at_s * 16000),
        "onset_s": onset_s,
        "offset_s": offset_s,
        "score": score,
        "threshold": 3.0,
        "bank": bank,
        "keyword": keyword,
        "lost_samples": 0,
    }


@pytest.fixture
def timeline():
    return drawn_timeline(np.random.default_rng(0))


@pytest.fixture
def right_events(timeline):
    """Everything that should be said about the scene."""
    shift_s = timeline.shift_s
    events = []
    for fault in timeline.faults:
        bank = 1 if fault.start_s < shift_s else 2
        events.append(event("onset", fault.stream, fault.start_s + 8, fault.start_s, bank=bank))
        events.append(event("cleared", fault.stream, fault.end_s + 14, fault.start_s, fault.end_s, bank=bank))
    for stream in MACHINES:
        events.append(event("onset", stream, shift_s + 9, shift_s))
        events.append(event("cleared", stream, shift_s + 60, shift_s, shift_s + 50, bank=2))
    events += [
        event("keyword", HALL, word.end_s, word.start_s + 0.1, word.end_s, keyword=KEYWORD)
        for word in timeline.words
        if word.word == KEYWORD
    ]
    events.sort(key=lambda published: published["sample_end"])
    books = {"received": 100, "scored": 90, "dropped": 0, "missing": 0, "lost": 0, "pending": 10}
    events.append({"kind": "heartbeat", "samples": {stream: {"anomaly": books} for stream in MACHINES}})
    return events


@pytest.fixture
def record_of(timeline):
    """The record of a list of events, with both machines enrolled 40 to 50 s after the change."""

    def make(events, *, enrolled=MACHINES):
        record = Record()
        for published in events:
            record.take(published)
        asked_s = timeline.shift_s + 40
        record.enrolled = [Enrolled(stream, asked_s, asked_s + 10, wall_s=0.5, bank=2) for stream in enrolled]
        return record

    return make
