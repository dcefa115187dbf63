"""Rules of onset, update and cleared."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edged.decide.hysteresis import Hysteresis, HysteresisSettings, Transition

SETTINGS = HysteresisSettings(onset_count=2, onset_window=3, clear_count=2, release=0.5, update_every=0)


def run(scores: list[float], settings: HysteresisSettings = SETTINGS, threshold: float = 1.0) -> list[Transition]:
    machine = Hysteresis(settings)
    return [t for i, s in enumerate(scores) for t in machine.push(s, threshold, 100 * i, 100 * i + 250)]


def test_onset_needs_k_of_n() -> None:
    assert run([2.0, 0.0, 0.0, 2.0, 0.0, 0.0]) == []
    (onset,) = run([0.0, 2.0, 0.0, 3.0])
    assert (onset.kind, onset.sample_start, onset.sample_end) == ("onset", 300, 550)
    assert onset.onset_sample == 250  # the segment 100..350 was the first above, 100..250 had been judged before
    assert (onset.peak_score, onset.offset_sample) == (3.0, None)


def test_after_a_gap_a_segment_is_new_as_a_whole() -> None:
    machine = Hysteresis(SETTINGS)
    machine.push(0.0, 1.0, 0, 250)
    machine.push(2.0, 1.0, 1000, 1250)
    (onset,) = machine.push(2.0, 1.0, 1100, 1350)
    assert onset.onset_sample == 1000


def test_the_threshold_itself_is_not_above() -> None:
    assert run([1.0, 1.0, 1.0]) == []


def test_cleared_after_m_in_a_row_below_the_release_level() -> None:
    onset, cleared = run([2.0, 2.0, 0.4, 0.6, 0.5, 0.5])
    assert (onset.kind, cleared.kind) == ("onset", "cleared")
    assert cleared.offset_sample == 550  # the segment scoring 0.6, above the release level of 0.5
    assert (cleared.sample_start, cleared.peak_score) == (500, 2.0)


def test_a_score_between_release_and_threshold_keeps_the_alarm() -> None:
    assert [t.kind for t in run([2.0, 2.0] + [0.8] * 20)] == ["onset"]


def test_updates_come_at_their_interval() -> None:
    settings = SETTINGS.model_copy(update={"update_every": 3})
    transitions = run([2.0] * 9, settings)
    assert [(t.kind, t.sample_start) for t in transitions] == [("onset", 100), ("update", 400), ("update", 700)]


def test_after_clearing_the_count_starts_again() -> None:
    kinds = [t.kind for t in run([2.0, 2.0, 0.0, 0.0, 2.0, 0.0, 2.0])]
    assert kinds == ["onset", "cleared", "onset"]


def test_nan_changes_nothing() -> None:
    assert run([2.0, math.nan, 2.0]) == run([2.0, math.nan, 2.0])
    machine = Hysteresis(SETTINGS)
    assert machine.push(math.nan, 1.0, 0, 1) == []
    assert not machine.in_alarm


def test_threshold_may_change_between_segments() -> None:
    machine = Hysteresis(SETTINGS)
    machine.push(2.0, 1.0, 0, 250)
    assert machine.push(2.0, 5.0, 100, 350) == []


@given(st.lists(st.floats(-5, 5), max_size=80))
def test_onset_and_cleared_alternate(scores: list[float]) -> None:
    kinds = [t.kind for t in run(scores)]
    assert kinds == ["onset", "cleared"] * (len(kinds) // 2) + ["onset"] * (len(kinds) % 2)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        HysteresisSettings(onset_count=4, onset_window=3)
