"""The table: everything right is good; every single thing that goes wrong shows in its own row."""

import pytest

from edged.demo.outcome import judged
from edged.demo.timeline import HALL, KEYWORD, MACHINES, PRESS, PUMP


def bad_rows(timeline, record):
    return [row.what for row in judged(timeline, record) if not row.good]


def without(events, **wanted):
    """The events but those whose fields are all as wanted."""
    return [e for e in events if not all(e.get(name) == value for name, value in wanted.items())]


def first_onset(events):
    return next(e for e in events if e["kind"] == "onset")


def test_everything_right_is_all_good(timeline, right_events, record_of):
    assert bad_rows(timeline, record_of(right_events)) == []


def test_nothing_said_is_bad_everywhere_but_where_silence_is_right(timeline, record_of):
    bad = bad_rows(timeline, record_of([], enrolled=()))
    rows = judged(timeline, record_of([], enrolled=()))
    assert len(rows) - len(bad) == 3  # quiet twice, and no false words


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_missed_fault_is_named(timeline, right_events, record_of, number):
    fault = timeline.faults[number]
    events = without(right_events, kind="onset", stream=fault.stream, onset_s=fault.start_s)
    bad = bad_rows(timeline, record_of(events))
    assert bad[0].startswith(f"{fault.stream}: {fault.name}")


def test_an_onset_that_comes_too_late_is_a_missed_fault(timeline, right_events, record_of):
    fault = timeline.faults[0]
    for event in right_events:
        if event["kind"] == "onset" and event["onset_s"] == fault.start_s:
            event["sample_end"] += 30 * 16000
    assert any("pitted bearing" in what for what in bad_rows(timeline, record_of(right_events)))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_alarm_that_never_clears_is_named(timeline, right_events, record_of, number):
    fault = timeline.faults[number]
    events = without(right_events, kind="cleared", stream=fault.stream, offset_s=fault.end_s)
    assert len(bad_rows(timeline, record_of(events))) == 1


def test_a_false_alarm_in_normal_operation_is_named(timeline, right_events, record_of):
    false = {**first_onset(right_events), "stream": PRESS, "sample_end": 40 * 16000, "onset_s": 30.0}
    (what,) = bad_rows(timeline, record_of([false, *right_events]))
    assert what.startswith("normal operation")


def test_a_false_alarm_after_enrolment_is_named(timeline, right_events, record_of):
    false = {**first_onset(right_events), "stream": PRESS, "sample_end": 380 * 16000, "onset_s": 370.0}
    (what,) = bad_rows(timeline, record_of([*right_events, false]))
    assert what.startswith("after enrolment")


def test_the_echo_of_a_fault_in_the_last_segments_is_no_false_alarm(timeline, right_events, record_of):
    end_s = timeline.faults[0].end_s
    late = {**first_onset(right_events), "sample_end": int((end_s + 8) * 16000), "onset_s": end_s}
    assert bad_rows(timeline, record_of([*right_events, late])) == []


def test_a_change_nobody_noticed_is_named(timeline, right_events, record_of):
    events = without(right_events, kind="onset", stream=PUMP, onset_s=timeline.shift_s)
    (what,) = bad_rows(timeline, record_of(events))
    assert what.startswith("pump: new sound")


def test_an_alarm_that_the_old_references_cleared_is_no_adaptation(timeline, right_events, record_of):
    for event in right_events:
        if event["kind"] == "cleared" and event["bank"] == 2 and event["offset_s"] == timeline.shift_s + 50:
            event["bank"] = 1
    assert len(bad_rows(timeline, record_of(right_events))) == len(MACHINES)


def test_a_missed_word_and_a_wrong_time_are_named(timeline, right_events, record_of):
    words = [e for e in right_events if e["kind"] == "keyword"]
    (what,) = bad_rows(timeline, record_of([e for e in right_events if e is not words[0]]))
    assert KEYWORD in what
    words[0]["onset_s"] -= 0.7
    assert len(bad_rows(timeline, record_of(right_events))) == 2  # missed there, false here


def test_a_false_word_is_named(timeline, right_events, record_of):
    false = {**next(e for e in right_events if e["kind"] == "keyword"), "onset_s": 62.0, "offset_s": 62.8}
    (what,) = bad_rows(timeline, record_of([*right_events, false]))
    assert what.startswith(f"{HALL}: 5 other words")


@pytest.mark.parametrize("change", [{"lost": 1}, {"scored": 89}])
def test_samples_that_do_not_add_up_are_named(timeline, right_events, record_of, change):
    right_events[-1]["samples"][PUMP]["anomaly"] = right_events[-1]["samples"][PUMP]["anomaly"] | change
    assert bad_rows(timeline, record_of(right_events)) == ["samples of all monitors"]
