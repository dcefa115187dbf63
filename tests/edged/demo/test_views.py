"""What a person sees, from the events of a daemon that does everything right."""

import io

import pytest
from rich.console import Console

from edged.demo.live import LiveView
from edged.demo.outcome import judged
from edged.demo.story import chapter
from edged.demo.timeline import PUMP
from edged.demo.view import PlainView


def console(width, **options):
    return Console(file=io.StringIO(), width=width, highlight=False, **options)


def shown(view, record, timeline):
    with view:
        view.step("edged run")
        for said in record.said:
            view.said(said)
            view.show(record, chapter(timeline, said.at_s, enrolling=False, enrolled=said.bank == 2))
        view.command(270.0, "edged enroll --clips night")
        view.finish(judged(timeline, record), 31.0)


def score(stream, number, value):
    return {
        "kind": "score",
        "stream": stream,
        "sample_end": number * 40960,
        "score": value,
        "threshold": 3.0,
        "bank": 1,
    }


def test_plain_lines_tell_the_whole_story(timeline, right_events, record_of):
    target = console(132)
    record = record_of(right_events)
    shown(PlainView(target), record, timeline)
    text = target.file.getvalue()
    assert "\x1b" not in text
    for part in ("ALARM: abnormal since", "cleared: normal again", "WORD:", "$ edged enroll", "The plant changes"):
        assert part in text
    assert text.rstrip().endswith("all 15 as announced; 31 s in all")


def test_a_failure_is_counted_in_the_last_line(timeline, right_events, record_of):
    target = console(132)
    shown(
        PlainView(target), record_of([e for e in right_events if e["kind"] != "onset" or e["stream"] != PUMP]), timeline
    )
    assert "5 of 15 did not happen" in target.file.getvalue().splitlines()[-1]


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_live_picture_shows_scores_alarms_and_words(timeline, right_events, record_of, width):
    target = console(width, force_terminal=True, color_system=None)
    levels = [score(PUMP, n, n % 8 - 1.0) for n in range(1, 60)]
    record = record_of([*levels, *right_events[: len(right_events) // 3]])
    shown(LiveView(target, timeline.duration_s, 20.0), record, timeline)
    text = target.file.getvalue()
    assert "ALARM since" in text
    assert "▁" in text
    assert "█" in text
    assert "20 x real time" in text
