"""A word's limit keeps its budget on sound whose true rates are known, from minutes of it and from hours."""

import math

import numpy as np
import pytest

from edged.decide.keyword_budget import LEAST_EVENTS, SHAPE_PRIOR, WordTail
from edged.decide.near_misses import KEPT_EVENTS, NearMisses

PER_HOUR_AT_ONE = 300.0
"""Events nearer than 1 an hour; -log of their distance is generalised Pareto."""
SCALE = 0.14
SHAPE = SHAPE_PRIOR[0]


def heard(rng, hours, limit=0.0, scale=SCALE, shape=SHAPE):
    """What a stream of that kind would leave."""
    nearness = scale * (rng.uniform(size=rng.poisson(PER_HOUR_AT_ONE * hours)) ** -shape - 1.0) / shape
    distances = np.sort(np.exp(-nearness))
    complete = float(distances[KEPT_EVENTS]) if len(distances) > KEPT_EVENTS else 1.0
    matches = int(np.searchsorted(distances, limit))
    return NearMisses(hours, distances[matches : max(KEPT_EVENTS, matches)], complete, limit, matches)


def true_rate(limit, scale=SCALE, shape=SHAPE):
    return PER_HOUR_AT_ONE * max(0.0, 1.0 - shape * math.log(limit) / scale) ** (-1.0 / shape)


@pytest.mark.parametrize(("hours", "per_hour"), [(0.17, 0.5), (0.17, 5.0), (3.0, 0.5)])
def test_the_budget_is_kept_with_the_stated_confidence(hours, per_hour):
    """Shapes differ as they do from word to word of real speech; 0.68 is two standard errors below 0.8."""
    rng = np.random.default_rng(1)
    shapes = np.minimum(rng.normal(*SHAPE_PRIOR, 40), -0.01)
    limits = [WordTail([heard(rng, hours, shape=shape)]).limit(per_hour, 0.8) for shape in shapes]
    kept = [true_rate(limit, shape=shape) <= per_hour for limit, shape in zip(limits, shapes, strict=True)]
    assert np.mean(kept) >= 0.68


def test_the_band_holds_the_true_rate_and_narrows():
    rng = np.random.default_rng(2)
    limit = 0.5
    widths = {}
    for hours in (0.17, 6.0):
        rates = [WordTail([heard(rng, hours)]).rate(limit, 0.9) for _ in range(30)]
        inside = [rate.low_per_hour <= true_rate(limit) <= rate.high_per_hour for rate in rates]
        assert np.mean(inside) >= 0.8
        widths[hours] = np.median(
            [math.log((rate.high_per_hour + 1e-3) / (rate.low_per_hour + 1e-3)) for rate in rates]
        )
    assert widths[6.0] < widths[0.17]


def test_more_heard_allows_a_looser_limit_of_the_same_tail():
    rng = np.random.default_rng(3)
    few, many = ([WordTail([heard(rng, hours)]).limit(0.5) for _ in range(20)] for hours in (0.2, 5.0))
    assert np.mean(few) < np.mean(many)


def test_a_bigger_budget_is_a_looser_limit():
    tail = WordTail([heard(np.random.default_rng(4), 0.5)])
    limits = [tail.limit(rate) for rate in (0.1, 0.5, 2.0, 10.0, 50.0)]
    assert limits == sorted(limits)
    assert limits[0] < limits[-1]


def test_a_limit_beyond_the_tail_is_counted():
    part = heard(np.random.default_rng(5), 1.0)
    rate = WordTail([part]).rate(part.complete_below)
    assert rate.low_per_hour < KEPT_EVENTS < rate.high_per_hour


def test_what_was_a_match_makes_no_limit_looser_and_loosens_no_tail():
    """Matches may be the word itself: many of them must not make the limit stricter and stricter."""
    rng = np.random.default_rng(6)
    plain = [heard(rng, 1.0, limit=0.55) for _ in range(5)]
    spoken = [NearMisses(p.hours, p.distances, p.complete_below, p.limit, p.matches + 40) for p in plain]
    silent, talkative = WordTail(plain).limit(0.5), WordTail(spoken).limit(0.5)
    assert talkative == pytest.approx(silent, rel=0.1)
    assert talkative <= silent + 1e-9


def test_hours_without_any_event_count():
    rng = np.random.default_rng(7)
    busy = [heard(rng, 0.5)]
    quiet = [NearMisses(5.0, np.zeros(0))]
    assert WordTail([*busy, *quiet]).rate(0.5).per_hour < 0.3 * WordTail(busy).rate(0.5).per_hour


def test_bouts_widen_the_band():
    """The same events in half of the hours, or spread evenly: only the number of independent stretches differs."""
    rng = np.random.default_rng(8)
    even = [heard(rng, 1.0) for _ in range(12)]
    few = [NearMisses(1.0, part.distances[:4], float(part.distances[4])) for part in even]
    bouts = [NearMisses(1.0, part.distances[:24], float(part.distances[24])) for part in even[:2]]
    bouts += [NearMisses(1.0, np.zeros(0)) for _ in range(10)]
    for limit in (0.55, 0.8):
        narrow, wide = (WordTail(parts).rate(limit) for parts in (few, bouts))
        ratios = [rate.high_per_hour / (rate.low_per_hour + 1e-3) for rate in (narrow, wide)]
        assert ratios[1] > 1.5 * ratios[0]


def test_it_says_how_much_is_missing():
    assert WordTail([]).needed_h(0.5) > 0.0
    assert math.isnan(WordTail([]).rate(0.5).per_hour)
    assert WordTail([]).rate(0.5).high_per_hour == math.inf
    rng = np.random.default_rng(9)
    assert WordTail([heard(rng, 0.05)]).needed_h(0.5) == pytest.approx(1 / 6 - 0.05)
    assert WordTail([heard(rng, 0.2)]).needed_h(0.5) == 0.0
    empty = WordTail([NearMisses(10.0, np.full(LEAST_EVENTS - 1, 0.9))])
    assert not empty.is_enough
    assert empty.needed_h(0.5) > 0.0


def test_a_heavier_tail_is_believed_when_it_is_seen():
    rng = np.random.default_rng(10)
    light, heavy = (WordTail([heard(rng, 2.0, scale=scale)]).limit(0.5) for scale in (0.08, 0.2))
    assert heavy < light
