"""False alarms per day against the hysteresis itself, segment by segment."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edged.decide.budget import Run, alarm_spans, alarm_statistic, budget_threshold, expected_false_alarms
from edged.decide.hysteresis import Hysteresis, HysteresisSettings

RULE = HysteresisSettings(update_every=0)
HOP_S = 2.56
DAY = 33_750


def overlapping(rng: np.random.Generator, n: int) -> np.ndarray:
    """Scores of segments that share three quarters of their sound, skewed as distances are."""
    latent = np.convolve(rng.standard_normal(n + 3), np.ones(4) / 2.0, "valid")
    return (np.exp(0.4 * latent) - 1.0) / 0.45


def onsets(scores: np.ndarray, threshold: float, rule: HysteresisSettings, typical: float = 0.0) -> list[int]:
    machine = Hysteresis(rule)
    pushed = (
        (i, t) for i, score in enumerate(scores) for t in machine.push(float(score), threshold, i, i + 4, typical)
    )
    return [i for i, transition in pushed if transition.kind == "onset"]


@given(st.integers(0, 10_000))
def test_alarms_are_those_of_the_hysteresis(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k, m = int(rng.integers(1, 4)), int(rng.integers(1, 6))
    n, release = int(rng.integers(k, 7)), float(rng.uniform(0.0, 1.0))
    rule = HysteresisSettings(onset_count=k, onset_window=n, clear_count=m, release=release, update_every=0)
    scores, threshold = rng.normal(0.5, 1.0, 150), float(rng.uniform(-0.5, 2.0))
    typical = float(rng.uniform(-1.0, 2.0))
    assert alarm_spans(scores, threshold, rule, typical)[:, 0].tolist() == onsets(scores, threshold, rule, typical)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.integers(1, 4), st.integers(0, 4))
def test_alarm_statistic_by_hand(values: list[float], k: int, more: int) -> None:
    n = k + more
    latest = [sorted(values[max(0, i + 1 - n) : i + 1], reverse=True) for i in range(len(values))]
    expected = [window[k - 1] if len(window) >= k else -math.inf for window in latest]
    assert alarm_statistic(np.array(values), k, n).tolist() == expected


def test_counted_rates_are_those_of_the_hysteresis_with_a_poisson_band() -> None:
    scores = overlapping(np.random.default_rng(0), DAY)
    threshold = float(np.quantile(scores, 0.99))
    count = len(onsets(scores, threshold, RULE))
    rate = expected_false_alarms([scores], HOP_S, RULE, threshold, confidence=0.9)
    assert rate.heard_h == pytest.approx(24.0)
    assert rate.per_day == pytest.approx(count, rel=0.01)
    assert rate.low_per_day == pytest.approx(stats.gamma.ppf(0.05, count + 0.5), rel=0.1)
    assert rate.high_per_day == pytest.approx(stats.gamma.ppf(0.95, count + 0.5), rel=0.1)


def test_segments_in_a_row_are_one_alarm_however_much_they_overlap() -> None:
    scores = np.zeros(DAY)
    for at in range(1000, 31_000, 500):
        scores[at : at + 4] = 5.0 + at / 31_000
    assert expected_false_alarms([scores], HOP_S, RULE, 4.0).per_day == pytest.approx(60, rel=0.02)


@pytest.mark.parametrize("per_day", [0.5, 2.0])
def test_budgets_are_kept_on_sound_not_heard_before(per_day: float) -> None:
    future = overlapping(np.random.default_rng(99), 60 * DAY)
    realised, held = [], []
    for seed in range(6):
        found = budget_threshold([overlapping(np.random.default_rng(seed), 2 * DAY)], HOP_S, RULE, per_day)
        assert found.threshold is not None
        assert found.method == "extrapolated"
        assert found.rate.high_per_day == pytest.approx(per_day, rel=0.05)
        realised.append(len(alarm_spans(future, found.threshold, RULE)) / 60.0)
        held.append(found.rate.low_per_day * 0.9 < realised[-1])
    assert np.mean(np.array(realised) <= per_day) >= 0.8
    assert np.mean(held) >= 0.8
    assert np.mean(realised) > per_day / 20.0  # kept, but not by deafness


def test_a_generous_budget_is_counted() -> None:
    scores = overlapping(np.random.default_rng(1), 7 * DAY)
    found = budget_threshold([scores], HOP_S, RULE, 20.0)
    assert found.threshold is not None
    assert found.method == "counted"
    assert len(onsets(scores, found.threshold, RULE)) < 7 * 20.0


@pytest.mark.parametrize(("per_day", "missing_h"), [(0.1, 14.0), (0.2, 4.0)])
def test_too_little_was_heard_for_a_small_budget(per_day: float, missing_h: float) -> None:
    scores = overlapping(np.random.default_rng(2), DAY // 4)
    found = budget_threshold([scores], HOP_S, RULE, per_day)
    assert (found.threshold, found.method) == (None, "none")
    assert found.needed_h == pytest.approx(missing_h, abs=0.01)
    assert math.isfinite(found.rate.high_per_day)


def test_single_clips_speak_with_a_wide_band_and_support_no_budget() -> None:
    """One segment cannot meet a rule of two: it counts as if it had lasted, or no clip could ever warn of anything."""
    clips = [np.array([score]) for score in np.random.default_rng(3).normal(0.0, 1.0, 20)]
    near = expected_false_alarms(clips, HOP_S, RULE, 1.0, segment_s=10.0)
    far = expected_false_alarms(clips, HOP_S, RULE, 4.0, segment_s=10.0)
    assert near.heard_h == far.heard_h == pytest.approx(200 / 3600)
    assert near.low_per_day > 100.0
    assert far.high_per_day > 20.0 * max(far.low_per_day, 1.0)
    found = budget_threshold(clips, HOP_S, RULE, 1.0, segment_s=10.0)
    assert found.threshold is None
    assert found.needed_h == pytest.approx(2.0 - 200 / 3600)


def test_nothing_spans_two_runs() -> None:
    noise = np.random.default_rng(5).normal(0.0, 0.1, 100)
    apart = [np.append(noise, 9.0), np.insert(noise, 0, 9.0)] * 20
    joined = [np.concatenate(apart)]
    rates = [expected_false_alarms(runs, HOP_S, RULE, 5.0) for runs in (apart, joined)]
    assert rates[0].heard_h == pytest.approx(rates[1].heard_h)
    assert rates[0].per_day < rates[1].per_day / 10.0


def test_an_alarm_that_was_left_out_counts_once_below_its_threshold_and_not_above() -> None:
    quiet = np.tile([0.0, 0.1], 200)
    climbing = Run(np.append(quiet, [3.0, 3.0, 3.0]), ceiling=4.0, ended_in_alarm=True)
    calm = Run(np.append(quiet, [3.0, 3.0, 3.0]))
    below = [expected_false_alarms([run], HOP_S, RULE, 2.0).per_day for run in (climbing, calm)]
    assert below[0] == pytest.approx(below[1])
    twice = expected_false_alarms([climbing, climbing], HOP_S, RULE, 3.9)
    above = expected_false_alarms([climbing, climbing], HOP_S, RULE, 4.1)
    assert above.high_per_day < twice.high_per_day


def test_scores_that_are_not_finite_are_passed_over() -> None:
    scores = overlapping(np.random.default_rng(4), 5000)
    with_holes = np.insert(scores, [10, 1000], np.nan)
    assert expected_false_alarms([with_holes], HOP_S, RULE, 2.0) == expected_false_alarms([scores], HOP_S, RULE, 2.0)


@pytest.mark.parametrize("runs", [[], [np.zeros(0)], [np.array([np.nan])]])
def test_nothing_heard_promises_nothing(runs: list[np.ndarray]) -> None:
    rate = expected_false_alarms(runs, HOP_S, RULE, 3.0)
    assert (rate.heard_h, rate.low_per_day, rate.high_per_day) == (0.0, 0.0, math.inf)
    found = budget_threshold(runs, HOP_S, RULE, 1.0)
    assert found.threshold is None
    assert found.needed_h == pytest.approx(2.0)


@pytest.mark.parametrize("scores", [np.zeros(5 * DAY), np.repeat([0.0, 1.0], 2 * DAY)])
def test_scores_without_a_tail_support_no_budget(scores: np.ndarray) -> None:
    found = budget_threshold([scores], HOP_S, RULE, 1.0)
    assert found.threshold is None
    assert found.needed_h > 0.0


def test_when_most_of_the_tail_was_left_out_hours_do_not_help() -> None:
    """Thresholds far too low cut off all that is loud: what is left says nothing of the rest, and claimed 0.1 a day
    where there were 40."""
    scores = overlapping(np.random.default_rng(6), 3 * DAY)
    spans = alarm_spans(scores, 2.0, RULE)
    starts = np.append(0, spans[:, 1] + 16)
    runs = [Run(scores[a:b], 2.0, True) for a, b in zip(starts, spans[:, 0], strict=False) if a < b]
    found = budget_threshold(runs, HOP_S, RULE, 1.0)
    assert (found.threshold, found.method, found.needed_h) == (None, "none", None)


@pytest.mark.parametrize("n_alarms", [10, 40])
def test_alarms_left_out_hold_a_threshold_but_never_raise_it(n_alarms: int) -> None:
    """A fault that comes again and again may be false alarms at the threshold it broke; beyond, it tells nothing."""
    scores = overlapping(np.random.default_rng(7), 4 * DAY)
    calm = budget_threshold([scores], HOP_S, RULE, 2.0).threshold
    assert calm is not None
    ceiling = float(scores.max()) + 3.0
    runs = [Run(part, ceiling, ended_in_alarm=True) for part in np.array_split(scores, n_alarms)]
    found = budget_threshold(runs, HOP_S, RULE, 2.0)
    assert found.threshold is not None
    assert calm < found.threshold <= ceiling * 1.001
    assert (found.threshold > 0.99 * ceiling) == (n_alarms > 2 * 4)


def test_an_alarm_at_a_threshold_nobody_knows_is_no_search_without_end() -> None:
    # it counted as an alarm at every level, so that no level ever kept the budget and the search went on for ever
    run = Run(overlapping(np.random.default_rng(0), DAY // 4), math.inf, ended_in_alarm=True)
    assert budget_threshold([run], HOP_S, RULE, 1.0).threshold is not None
