"""Slow change is told once when it sets in and once when it is gone; a fault is not drift, and steadiness is calm."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.decide.drift import Drift, DriftSettings
from edged.decide.hysteresis import Hysteresis
from edged.decide.normal import NormalScores

HOP_S, HOP, SEGMENT = 2.56, 40_960, 160_000
NORMAL = NormalScores(typical=0.5, spread=0.8)
THRESHOLD = 5.0
PER_HOUR = round(3600 / HOP_S)
SMALL = DriftSettings(block_segments=5, window_blocks=4, onset_spreads=2.0)


def wandering(n, time_s, rng, n_series=1):
    """Correlated noise of spread 1 (an autoregression), float64 (n, n_series)."""
    keep = math.exp(-HOP_S / time_s)
    now = rng.standard_normal(n_series)
    out = np.empty((n, n_series))
    for i in range(n):
        now = keep * now + math.sqrt(1 - keep**2) * rng.standard_normal(n_series)
        out[i] = now
    return out


def judge(scores, drift_settings=None):
    """What a monitor does with scores: alarms first, and drift over what is not in alarm; (kind, segment) of each."""
    drift = Drift(drift_settings or DriftSettings.of_hours(6.0, 2.0, HOP_S), NORMAL)
    alarm = Hysteresis()
    told = []
    for i, score in enumerate(scores):
        start, end = i * HOP, i * HOP + SEGMENT
        told += [(t.kind, i) for t in alarm.push(score, THRESHOLD, start, end, NORMAL.typical) if t.kind != "update"]
        if not alarm.in_alarm:
            told += [(change.state, i) for change in drift.push(score, start, end)]
    return told


def normal_scores(hours, seed=0):
    noise = wandering(round(hours * PER_HOUR), 60.0, np.random.default_rng(seed))[:, 0]
    return NORMAL.typical + 0.5 * NORMAL.spread * noise


def test_a_step_fault_is_an_onset_and_no_drift():
    scores = normal_scores(30)
    scores[10 * PER_HOUR : 20 * PER_HOUR] += 12.0
    assert [kind for kind, _ in judge(scores)] == ["onset", "cleared"]


def test_a_slow_ramp_below_the_threshold_is_a_drift_and_no_onset():
    scores = normal_scores(50)
    ramp = np.interp(np.arange(len(scores)) / PER_HOUR, [4, 24, 34, 35], [0.0, 2.5, 2.5, 0.0])
    told = judge(scores + ramp * NORMAL.spread)
    assert [kind for kind, _ in told] == ["set in", "gone"]
    assert 20 * PER_HOUR < told[0][1] < 27 * PER_HOUR
    assert 35 * PER_HOUR < told[1][1] < 42 * PER_HOUR


def test_a_loud_hour_every_four_is_no_drift():
    scores = normal_scores(48)
    for hour in range(0, 48, 4):
        scores[hour * PER_HOUR : (hour + 1) * PER_HOUR] += 3.0
    assert judge(scores) == []


@pytest.mark.parametrize(("time_s", "most_per_day"), [(600.0, 0.0), (3600.0, 0.02)])
def test_stationary_scores_stay_calm_however_slowly_they_wander(time_s, most_per_day):
    """All of the enrolled spread is wandering of this time constant: 100 streams, half a day each."""
    scores = NORMAL.typical + NORMAL.spread * wandering(12 * PER_HOUR, time_s, np.random.default_rng(1), 100)
    found = [_set_in(series) for series in scores.T]
    assert sum(found) / 50.0 <= most_per_day


def _set_in(series):
    """Onsets of drift, taken block by block: what `push` does, without its loop."""
    whole = DriftSettings.of_hours(6.0, 2.0, HOP_S)
    n_blocks = len(series) // whole.block_segments
    medians = np.median(series[: n_blocks * whole.block_segments].reshape(n_blocks, -1), axis=1)
    drift = Drift(DriftSettings(1, whole.window_blocks, whole.onset_spreads), NORMAL)
    changes = [change for i, median in enumerate(medians) for change in drift.push(median, i, i + 1)]
    return sum(change.state == "set in" for change in changes)


def run(scores, drift=None):
    drift = drift or Drift(SMALL, NORMAL)
    return [change for i, score in enumerate(scores) for change in drift.push(score, 10 * i, 10 * i + 25)]


def above(spreads, n):
    return [NORMAL.typical + spreads * NORMAL.spread] * n


def test_it_says_since_when_until_when_and_how_far():
    set_in, gone = run(above(0.0, 12) + above(3.0, 30) + above(0.0, 40))
    assert (set_in.state, gone.state) == ("set in", "gone")
    assert set_in.since_sample == gone.since_sample == 10 * 10  # the block whose median was above first: 10 .. 14
    assert (set_in.until_sample, gone.until_sample) == (None, 10 * 39 + 25)  # 35 .. 39 was the last
    assert set_in.spreads == pytest.approx(3.0)
    assert set_in.drifted_score == pytest.approx(NORMAL.typical + 3.0 * NORMAL.spread)
    assert set_in.level == pytest.approx(NORMAL.typical + 2.0 * NORMAL.spread)


def test_nothing_is_said_before_the_window_is_full():
    assert run(above(9.0, 19)) == []
    assert [change.state for change in run(above(9.0, 20))] == ["set in"]


def test_falling_scores_are_no_drift():
    assert run(above(-50.0, 100)) == []


def test_new_references_end_a_drift_and_begin_anew():
    drift = Drift(SMALL, NORMAL)
    run(above(3.0, 40), drift)
    assert drift.is_drifting
    assert drift.use_normal(NORMAL) == []
    (gone,) = drift.use_normal(NormalScores(2.9, 0.8))
    assert (gone.state, gone.until_sample, gone.spreads) == ("gone", 10 * 39 + 25, pytest.approx(3.0))
    assert run(above(3.0, 100), drift) == []


def test_memory_is_constant():
    drift = Drift(SMALL, NORMAL)
    run(np.random.default_rng(0).normal(size=5000), drift)
    assert len(drift._block) < SMALL.block_segments
    assert len(drift._window) <= SMALL.window_blocks


@settings(max_examples=60)
@given(st.lists(st.sampled_from([math.nan, math.inf, -5.0, 0.0, 1.0, 2.2, 3.0, 50.0]), max_size=300))
def test_it_is_what_a_slow_count_of_all_scores_gives(scores):
    known = [s for s in scores if math.isfinite(s)]
    blocks = [np.median(known[i : i + 5]) for i in range(0, len(known) - 4, 5)]
    expected, drifting = [], False
    for n in range(4, len(blocks) + 1):
        spreads = np.median([(b - NORMAL.typical) / NORMAL.spread for b in blocks[n - 4 : n]])
        if (not drifting and spreads > 2.0) or (drifting and spreads <= 1.0):
            drifting = not drifting
            expected.append("set in" if drifting else "gone")
    assert [change.state for change in run(scores)] == expected


def test_normal_scores_of_few_clips_are_given_room():
    rng = np.random.default_rng(0)
    many = NormalScores.of(rng.normal(2.0, 1.0, 1000))
    assert (many.typical, many.spread) == (pytest.approx(2.0, abs=0.1), pytest.approx(1.0, abs=0.1))
    few = NormalScores.of([1.0, 3.0, math.nan])
    assert (few.typical, few.spread) == (2.0, 3.0)
    assert NormalScores.of([]) == NormalScores.of([math.nan]) == NormalScores(0.0, 1.0)
