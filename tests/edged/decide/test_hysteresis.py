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


def test_what_lies_hours_back_does_not_join_what_is_heard_now() -> None:
    """One loud segment before a gap of hours and one after it were an onset that had begun hours ago."""
    machine = Hysteresis(SETTINGS)
    machine.push(2.0, 1.0, 0, 250)
    assert machine.push(2.0, 1.0, 1_000_000, 1_000_250) == []
    (onset,) = machine.push(2.0, 1.0, 1_000_100, 1_000_350)
    assert onset.onset_sample == 1_000_000


def test_segments_on_both_sides_of_one_that_was_skipped_do_not_join() -> None:
    machine = Hysteresis(SETTINGS)
    machine.push(2.0, 1.0, 0, 250)
    machine.skip()
    assert machine.push(2.0, 1.0, 200, 450) == []
    assert [t.kind for t in machine.push(2.0, 1.0, 300, 550)] == ["onset"]


def test_skipping_neither_clears_nor_prolongs_an_alarm() -> None:
    machine = Hysteresis(SETTINGS)
    for i, score in enumerate([2.0, 2.0, 0.0]):
        machine.push(score, 1.0, 100 * i, 100 * i + 250)
    machine.skip()
    (cleared,) = machine.push(0.0, 1.0, 900, 1150)
    assert (cleared.kind, cleared.offset_sample) == ("cleared", 350)


def test_pieces_shorter_than_the_window_still_add_up() -> None:
    """A device that stutters gives one segment between two gaps; its faults must be heard all the same."""
    machine = Hysteresis(SETTINGS)
    machine.push(2.0, 1.0, 0, 250)
    assert [t.kind for t in machine.push(2.0, 1.0, 700, 950)] == ["onset"]


def test_a_clock_that_is_set_back_begins_anew() -> None:
    machine = Hysteresis(SETTINGS)
    machine.push(2.0, 1.0, 1_000_000, 1_000_250)
    assert machine.push(2.0, 1.0, 0, 250) == []


def slow_machine(scores: list[float], k: int, n: int, m: int, every: int) -> list[tuple[str, int]]:
    """The rules written out over the whole list at every step; NaN are passed over."""
    told: list[tuple[str, int]] = []
    known = [(i, s) for i, s in enumerate(scores) if not math.isnan(s)]
    begun, alarm_at = 0, None
    for at, (i, _) in enumerate(known):
        if alarm_at is None:
            if sum(s > 1.0 for _, s in known[max(begun, at - n + 1) : at + 1]) >= k:
                alarm_at = at
                told.append(("onset", i))
            continue
        calm = [s <= 0.5 for _, s in known[alarm_at + 1 : at + 1]]
        if len(calm) >= m and all(calm[-m:]):
            alarm_at, begun = None, at + 1
            told.append(("cleared", i))
        elif every and (at - alarm_at) % every == 0:
            told.append(("update", i))
    return told


@given(
    st.lists(st.sampled_from([0.0, 0.5, 0.7, 1.0, 1.1, 9.0, math.nan]), max_size=120),
    st.integers(1, 4), st.integers(0, 3), st.integers(1, 4), st.integers(0, 5),
)  # fmt: skip
def test_it_is_what_the_rules_say_written_out_slowly(
    scores: list[float], k: int, more: int, m: int, every: int
) -> None:
    settings = HysteresisSettings(onset_count=k, onset_window=k + more, clear_count=m, release=0.5, update_every=every)
    machine = Hysteresis(settings)
    told = [(t.kind, i) for i, s in enumerate(scores) for t in machine.push(s, 1.0, 100 * i, 100 * i + 100_000)]
    assert told == slow_machine(scores, k, k + more, m, every)


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
