"""Segment-, event- and intersection-based figures against counting, and against sed_eval where there is one."""

import itertools
import math

import numpy as np
import pytest

from trainer.evaluate.counts import Counts
from trainer.evaluate.event_based import event_based
from trainer.evaluate.intersection_based import intersection_based
from trainer.evaluate.segment_based import segment_based
from trainer.evaluate.sound_events import Event, EventFigures

LABELS = ("alarm", "bark", "crash")
TICKS_PER_S = 8
SEEDS = pytest.mark.parametrize("seed", range(12))


def events(rng, n):
    """Events of 1/8 s to 3 s on a grid of 1/8 s, which floats hold exactly."""
    onsets, lengths = rng.integers(0, 80, n) / TICKS_PER_S, rng.integers(1, 24, n) / TICKS_PER_S
    return [Event(str(rng.choice(LABELS)), float(t), float(t + d)) for t, d in zip(onsets, lengths, strict=True)]


def disturbed(rng, event):
    label = event.label if rng.random() < 0.7 else str(rng.choice(LABELS))
    onset_s = max(0.0, event.onset_s + rng.integers(-3, 4) / TICKS_PER_S)
    return Event(label, float(onset_s), float(event.offset_s + rng.integers(3, 11) / TICKS_PER_S))


def recordings(seed):
    rng = np.random.default_rng(seed)
    reference = {name: events(rng, 6) for name in ("x", "y", "silent")}
    found = {k: [disturbed(rng, e) for e in v if rng.random() < 0.8] + events(rng, 2) for k, v in reference.items()}
    return found, {**reference, "silent": []}


def of(events_of_file, label):
    return [e for e in events_of_file if e.label == label]


def ticks(event):
    return set(range(round(event.onset_s * TICKS_PER_S), round(event.offset_s * TICKS_PER_S)))


@SEEDS
def test_segments_equal_counting(seed):
    found, reference = recordings(seed)
    n_substitutions, n_deletions, n_insertions, n_active = 0, 0, 0, 0
    totals = dict.fromkeys(LABELS, Counts())
    for name, second in itertools.product(reference, range(20)):
        now = set(range(second * TICKS_PER_S, (second + 1) * TICKS_PER_S))
        alarms = misses = 0
        for label in LABELS:
            is_found, is_true = (any(ticks(e) & now for e in of(side[name], label)) for side in (found, reference))
            totals[label] += Counts(is_found and is_true, is_found and not is_true, is_true and not is_found)
            alarms, misses, n_active = alarms + (is_found > is_true), misses + (is_true > is_found), n_active + is_true
        n_substitutions += min(alarms, misses)
        n_deletions += max(0, misses - alarms)
        n_insertions += max(0, alarms - misses)
    figures = segment_based(found, reference)
    assert figures.classes == totals
    assert figures.error_rate == pytest.approx((n_substitutions + n_deletions + n_insertions) / n_active)
    assert figures.macro_f1 == pytest.approx(sum(c.f1 for c in totals.values()) / 3)


def largest_matching(found, true, agrees):
    """By trying everything."""
    if not found:
        return 0
    first, rest = found[0], found[1:]
    best = largest_matching(rest, true, agrees)
    for k, event in enumerate(true):
        if agrees(first, event):
            best = max(best, 1 + largest_matching(rest, true[:k] + true[k + 1 :], agrees))
    return best


def within_collar(found, true):
    offset_collar_s = max(0.25, 0.5 * (true.offset_s - true.onset_s))
    return abs(found.onset_s - true.onset_s) <= 0.25 and abs(found.offset_s - true.offset_s) <= offset_collar_s


@SEEDS
def test_events_equal_counting(seed):
    found, reference = recordings(seed)
    figures = event_based(found, reference)
    for label in LABELS:
        pairs = [(of(found[name], label), of(reference[name], label)) for name in reference]
        n_hits = sum(largest_matching(f, t, within_collar) for f, t in pairs)
        expected = Counts(n_hits, sum(len(f) for f, _ in pairs) - n_hits, sum(len(t) for _, t in pairs) - n_hits)
        assert figures.classes[label] == expected


@pytest.mark.parametrize("figures_of", [event_based, intersection_based])
@SEEDS
def test_error_rate_equals_counting(figures_of, seed):
    """One sound per ten seconds, each reported rightly, under a wrong name, elsewhere, or not at all."""
    rng = np.random.default_rng(seed)
    reference, found, n_errors = [], [], 0
    for k, fate in enumerate(rng.choice(["right", "renamed", "elsewhere", "silent"], 20)):
        label, at = LABELS[k % 3], 10.0 * k
        reference.append(Event(label, at, at + 1.0))
        if fate in {"right", "renamed"}:
            found.append(Event(label if fate == "right" else LABELS[(k + 1) % 3], at + 0.125, at + 1.125))
        if fate == "elsewhere":
            found.append(Event(label, at + 5.0, at + 6.0))
        n_errors += {"right": 0, "renamed": 1, "elsewhere": 2, "silent": 1}[fate]
    assert figures_of({"x": found}, {"x": reference}).error_rate == pytest.approx(n_errors / 20)


@SEEDS
@pytest.mark.parametrize(("tolerance", "coverage"), [(0.5, 0.5), (0.7, 0.3)])
def test_intersections_equal_counting(seed, tolerance, coverage):
    found, reference = recordings(seed)
    figures = intersection_based(found, reference, tolerance, coverage)
    for label in LABELS:
        n_hits = n_alarms = n_misses = 0
        for name, events_of_file in reference.items():
            true = of(events_of_file, label)
            right = []
            for e in of(found[name], label):
                share = sum(len(ticks(e) & ticks(t)) for t in true) / len(ticks(e))
                right += [e] if share >= tolerance else []
                n_alarms += share < tolerance
            for t in true:
                share = sum(len(ticks(e) & ticks(t)) for e in right) / len(ticks(t))
                n_hits, n_misses = n_hits + (share >= coverage), n_misses + (share < coverage)
        assert figures.classes[label] == Counts(n_hits, n_alarms, n_misses)


@pytest.mark.parametrize("segment_s", [0.1, 0.2, 0.3, 0.02])
def test_an_event_that_fits_a_segment_is_in_that_one_alone(segment_s: float) -> None:
    """0.6 / 0.2 is a little less than 3: an event there counted for two."""
    for k in range(200):
        event = Event("word", k * segment_s, (k + 1) * segment_s)
        (counts,) = segment_based({"a": [event]}, {"a": [event]}, segment_s).classes.values()
        assert counts.n_true_positive == 1


def test_intersections_forgive_a_split_event_and_collars_do_not():
    whole = {"x": [Event("alarm", 0.0, 4.0)]}
    halves = {"x": [Event("alarm", 0.0, 1.9), Event("alarm", 2.1, 4.0)]}
    assert intersection_based(halves, whole).micro == Counts(1, 0, 0)
    assert event_based(halves, whole).micro == Counts(0, 2, 1)


@SEEDS
def test_a_perfect_system(seed):
    _, reference = recordings(seed)
    for figures_of in (segment_based, event_based, intersection_based):
        figures = figures_of(reference, reference)
        assert (figures.micro.f1, figures.macro_f1, figures.error_rate) == (1.0, 1.0, 0.0)


def test_nothing_to_find():
    silence = {"x": []}
    assert event_based({}, silence).error_rate == 0.0
    assert event_based({"x": [Event("alarm", 0.0, 1.0)]}, silence).error_rate == math.inf
    assert EventFigures({}, 0).macro_f1 == 0.0


def test_mistakes_in_the_data_are_refused():
    with pytest.raises(ValueError, match="no reference for y"):
        segment_based({"y": []}, {"x": []})
    with pytest.raises(ValueError, match="not after its onset"):
        Event("alarm", 1.0, 1.0)


def by_sed_eval(metric, found, reference):
    from dcase_util.containers import MetaDataContainer

    for name in reference:
        rows = [
            [{"filename": name, "event_label": e.label, "onset": e.onset_s, "offset": e.offset_s} for e in side[name]]
            for side in (reference, found)
        ]
        metric.evaluate(*map(MetaDataContainer, rows))
    overall = metric.results_overall_metrics()
    return overall["f_measure"]["f_measure"], overall["error_rate"]["error_rate"]


def test_figures_equal_those_of_sed_eval():
    sed_eval = pytest.importorskip("sed_eval", reason="sed_eval is not installed; it needs setuptools < 81")
    for seed in range(20):
        found, reference = recordings(seed)
        segments = sed_eval.sound_event.SegmentBasedMetrics(list(LABELS), time_resolution=1.0)
        collars = sed_eval.sound_event.EventBasedMetrics(list(LABELS), t_collar=0.25, percentage_of_length=0.5)
        for metric, ours in ((segments, segment_based(found, reference)), (collars, event_based(found, reference))):
            assert (ours.micro.f1, ours.error_rate) == pytest.approx(by_sed_eval(metric, found, reference))
