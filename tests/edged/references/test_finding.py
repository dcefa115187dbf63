"""Which threshold is right: what it rests on, and how far it may go."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from edged.config import AnomalySettings
from edged.decide.budget import expected_false_alarms
from edged.decide.hysteresis import HysteresisSettings
from edged.decide.thresholds import alarm_threshold
from edged.references.finding import (
    MOST_RAISED,
    Rule,
    _by_domain,
    basis_runs,
    enrolment_runs,
    enrolment_threshold,
    find,
)
from edged.references.history import Stretch
from edged.runtime.thresholds import reason_of
from edged.score.references import References

RULE = Rule(HysteresisSettings(update_every=0), 2.56, 10.0)
DAY = 33_750
BUDGET = AnomalySettings(false_alarms_per_day=1.0)


def bank(scores=None, version=1, ceiling=None):
    scores = np.linspace(-1.0, 1.0, 20) if scores is None else np.asarray(scores)
    clips = np.arange(len(scores)) // 2
    references = References(np.zeros((len(scores), 1), np.float32), ("source",) * len(scores), clips)
    scorer = SimpleNamespace(normal_scores=scores)
    return SimpleNamespace(
        version=version, references={"x": references}, scorer=scorer, threshold=alarm_threshold(scores), ceiling=ceiling
    )


def stretch(seed=0, n=DAY, domain="source", scale=1.0, **more):
    latent = np.convolve(np.random.default_rng(seed).standard_normal(n + 3), np.ones(4) / 2.0, "valid")
    return Stretch(domain, 0, (scale * latent).astype(np.float32), more.pop("ceiling", np.inf), **more)


def found(stretches, settings=BUDGET, own=5.0):
    return find(bank(), stretches, settings, RULE, own)


def test_clips_alone_support_no_budget_and_their_threshold_stands():
    finding = found([])
    assert (finding.threshold, finding.basis) == (5.0, "enrolled clips")
    assert finding.needed_h == pytest.approx(2.0, abs=0.1)
    assert finding.rate.heard_h == pytest.approx(10 * (10.0 + 2.56) / 3600)
    assert finding.found(1, BUDGET) is None


def test_of_fewer_than_ten_clips_only_their_time_is_told():
    few = bank(np.linspace(-1.0, 1.0, 10))
    rate = find(few, [], AnomalySettings(threshold=5.0), RULE, 5.0).rate
    assert np.isnan(rate.per_day)
    assert (rate.low_per_day, rate.heard_h) == (0.0, pytest.approx(5 * 12.56 / 3600))
    assert rate.high_per_day >= 1.92 * 24.0 / rate.heard_h  # of no alarm in so long, 95 % one-sided (Jeffreys)
    counted = find(few, [], AnomalySettings(threshold=0.1), RULE, 5.0).rate
    assert counted.per_day > 0.0  # alarms were heard, and few clips suffice to count them
    used = replace(find(few, [], BUDGET, RULE, 5.0), basis="found earlier")
    assert "say too little" in reason_of(used, BUDGET)
    assert not np.isnan(find(bank(), [], AnomalySettings(), RULE, 5.0).rate.per_day)


def test_a_day_heard_gives_a_threshold_for_the_budget():
    finding = found([stretch()])
    assert finding.basis == "extrapolated"
    assert finding.needed_h is None
    assert finding.rate.high_per_day == pytest.approx(1.0, rel=0.05)
    assert finding.rate.heard_h == pytest.approx(24.0, abs=0.01)
    stored = finding.found(1, BUDGET)
    assert (stored.threshold, stored.false_alarms_per_day, stored.confidence) == (finding.threshold, 1.0, 0.9)


def test_without_a_budget_the_rate_of_the_enrolments_own_threshold_is_told():
    heard = stretch()
    finding = found([heard], AnomalySettings())
    expected = expected_false_alarms([heard.scores.astype(float)], 2.56, RULE.hysteresis, 5.0, segment_s=10.0)
    assert (finding.threshold, finding.basis, finding.needed_h) == (5.0, "enrolled clips", None)
    assert finding.rate == expected


def test_a_configured_threshold_is_only_judged():
    finding = found([stretch()], AnomalySettings(threshold=3.0))
    assert (finding.threshold, finding.basis) == (3.0, "configured")
    assert finding.rate.per_day > 1.0


def test_slowly_louder_sound_cannot_walk_the_threshold_up():
    """Its budget would need a threshold of 30 spreads; without a bound, a fault that grows is learned."""
    own = 5.0
    finding = found([stretch(scale=10.0)], own=own)
    assert finding.is_capped
    assert finding.threshold == pytest.approx(MOST_RAISED * own)
    assert finding.rate.per_day > 1.0


def test_a_labelled_anomaly_caps_every_threshold():
    finding = find(bank(ceiling=2.0), [stretch(0), stretch(1, domain="hot", continues=True)], BUDGET, RULE, 5.0)
    assert finding.is_capped
    assert {finding.threshold, *finding.domains.values()} == {2.0}
    assert enrolment_threshold(bank(ceiling=2.0), AnomalySettings(threshold_method="mad"), {}) == 2.0


def test_domains_heard_long_enough_have_their_own_threshold_and_others_the_general_one():
    stretches = [
        stretch(0),
        stretch(1, domain="hot", scale=1.5, continues=True),
        stretch(2, 300, domain="rare", continues=True),
    ]
    finding = found(stretches)
    assert set(finding.domains) == {"source", "hot"}
    assert finding.domains["source"] < finding.threshold <= finding.domains["hot"] * 1.05


def test_a_domain_that_comes_and_goes_was_not_heard_longer_than_it_was():
    # every segment of it counted as the ten seconds it spans, four times the hop by which they follow each other
    n = 2 * 700  # half an hour of each domain, where two false alarms a day need one
    both = [stretch(seed, 1, f"{seed % 2}", continues=True) for seed in range(n)]
    finding = found([stretch(9), *both], BUDGET.model_copy(update={"false_alarms_per_day": 2.0}))
    assert set(finding.domains) == {"source"}


def test_a_domain_is_not_continued_across_another():
    """Two halves of an alarm, one on each side of another domain's segments, are no alarm of their own domain."""
    quiet = np.zeros(20_000, np.float32)
    high = np.append(quiet, np.float32(9.0))
    pieces = [
        Stretch("a", 0, high, np.inf),
        Stretch("b", 0, quiet, np.inf, continues=True),
        Stretch("a", 0, high[::-1].copy(), np.inf, continues=True),
    ]
    assert [len(run.scores) for run in _by_domain(pieces)["a"]] == [20_001, 20_001]


def test_clips_speak_until_something_longer_was_heard():
    enrolled = enrolment_runs(bank())
    assert [len(run.scores) for run in enrolled] == [2] * 10
    assert len(basis_runs(bank(), [stretch(n=20)], RULE)) == 11
    assert len(basis_runs(bank(), [stretch(n=200)], RULE)) == 1


def test_pieces_without_a_score_are_no_runs():
    scores = np.append(np.full(2, np.nan), np.linspace(0.0, 1.0, 4))
    assert len(enrolment_runs(bank(scores))) == 2


def test_the_method_of_the_enrolments_threshold_is_the_configured_one():
    normal = bank()
    assert enrolment_threshold(normal, AnomalySettings(), {}) == normal.threshold
    wanted = alarm_threshold(normal.scorer.normal_scores, method="mst-mad", spreads=3.0)
    settings = AnomalySettings(threshold_method="mst-mad")
    assert enrolment_threshold(normal, settings, {"threshold_spreads": 3.0}) == wanted
