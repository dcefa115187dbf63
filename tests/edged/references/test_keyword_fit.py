"""Words are fitted one by one: what came near to each, another word changes nothing, a budget gives each its limit."""

from types import SimpleNamespace

import numpy as np
import pytest

from edged.config import KeywordSettings
from edged.decide.near_misses import NearMisses
from edged.references.keyword import KeywordBank
from edged.references.keyword_fit import (
    BACKGROUND_EVENTS,
    FittedWords,
    fitted_words,
    near_misses_of_arrays,
    near_misses_to_arrays,
)
from edged.references.keyword_limits import MOST_MOVED, LimitFinder, limits_of
from tests.fakes.words import HOP, background, said

DECISION = {"limit_distance": 0.77, "ordinary_quantile": 0.05, "own_exponent": 0.15}
BUNDLE = SimpleNamespace(
    manifest=SimpleNamespace(decision=DECISION, features={"hop_samples": HOP}),
    calibration={"background": background(40_000)},
)
BUDGET = KeywordSettings(false_alarms_per_hour=0.5)


def clips(word):
    return [said(word, speaker) for speaker in range(4)]


@pytest.fixture(scope="module")
def two():
    return fitted_words(BUNDLE, {"a": clips(1), "b": clips(2)})


def bank_of(words):
    return KeywordBank(1, (), (), words.model, near_misses=words.near_misses)


def test_what_came_near_is_kept_with_the_time_it_was_heard(two):
    for near in two.near_misses:
        assert near.hours == pytest.approx(40_000 * HOP / 16_000 / 3600)
        assert 0 < len(near.distances) <= BACKGROUND_EVENTS
        assert near.matches == 0


def test_another_word_changes_nothing_of_a_word_to_the_last_bit(two):
    for known in (None, two):
        three = fitted_words(BUNDLE, {"c": clips(3), "a": clips(1), "b": clips(2)}, known)
        for place, other in ((1, 0), (2, 1)):
            assert three.model.ordinary[place] == two.model.ordinary[other]
            assert three.model.identity(place) == two.model.identity(other)
            assert three.near_misses[place].distances.tolist() == two.near_misses[other].distances.tolist()
        more, fewer = (limits_of(LimitFinder(bank_of(words), BUDGET).all()) for words in (three, two))
        assert more[1:] == fewer


def test_known_words_are_not_fitted_again_and_changed_ones_are(two, monkeypatch):
    seen, nothing = [], NearMisses(1.0, np.zeros(0))
    monkeypatch.setattr(
        "edged.references.keyword_fit._fitted", lambda _bundle, word, *_: seen.append(word) or (1.0, nothing)
    )
    fitted_words(BUNDLE, {"a": clips(1), "b": clips(2)[:3], "c": clips(3)}, two)
    assert seen == ["b", "c"]


@pytest.mark.parametrize(
    ("decision", "calibration"),
    [
        ({"ordinary_quantile": 0.5}, {}),
        ({"own_exponent": 0.0}, {}),
        ({"brevity_weight": 1.0}, {}),
        ({}, {"background": background(30_000)}),
    ],
)
def test_another_bundle_that_measures_otherwise_measures_all_words_again(two, decision, calibration):
    # words enrolled before kept numbers that meant something else than those of words enrolled after
    other = SimpleNamespace(
        manifest=SimpleNamespace(decision=DECISION | decision, features={"hop_samples": HOP}),
        calibration=BUNDLE.calibration | calibration,
    )
    words = {"a": clips(1), "b": clips(2), "c": clips(3)}
    anew, after = fitted_words(other, words), fitted_words(other, words, two)
    assert after.measured_by == anew.measured_by != two.measured_by
    assert after.model.ordinary.tolist() == anew.model.ordinary.tolist()


def test_templates_of_the_model_are_taken_as_they_are(two):
    again = fitted_words(BUNDLE, {"a": two.model.templates_of(0), "b": clips(2)}, two)
    assert [again.model.identity(place) for place in (0, 1)] == [two.model.identity(place) for place in (0, 1)]


def test_they_are_stored_and_read_as_they_were(two):
    again = near_misses_of_arrays(near_misses_to_arrays(two.near_misses), 2)
    for one, other in zip(again, two.near_misses, strict=True):
        np.testing.assert_allclose(one.distances, other.distances, rtol=1e-6)
        assert (one.hours, one.complete_below) == (other.hours, other.complete_below)
    assert near_misses_of_arrays({}, 2) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [("near/00000", [np.nan]), ("near/00000", [-1.0]), ("near/00000", [[0.5]]), ("near/00000", [0.5] * 1000),
     ("near_facts/00000", [np.inf, 0.9]), ("near_facts/00000", [1.0, 2.0]), ("near_facts/00000", [1.0])],
)  # fmt: skip
def test_damaged_ones_are_refused(two, name, value):
    arrays = near_misses_to_arrays(two.near_misses) | {name: np.array(value)}
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with them
        near_misses_of_arrays(arrays, 2)


def test_a_budget_gives_each_word_its_limit_and_says_what_is_expected(two):
    for found in LimitFinder(bank_of(two), BUDGET).all():
        assert found.basis == "bundle's speech"
        assert found.needed_h is None
        assert found.rate.low_per_hour <= found.rate.per_hour <= found.rate.high_per_hour < 1.0
    quick = LimitFinder(bank_of(two), BUDGET).limits()
    assert limits_of(quick) == limits_of(LimitFinder(bank_of(two), BUDGET).all())


def test_configured_thresholds_come_first_and_without_a_budget_the_bundles_own(two):
    settings = BUDGET.model_copy(update={"thresholds": {"b": -0.3}})
    own, fixed = LimitFinder(bank_of(two), settings).all()
    assert (fixed.limit, fixed.basis) == (0.3, "configured")
    assert own.basis == "bundle's speech"
    for one in LimitFinder(bank_of(two), KeywordSettings()).all():
        assert (one.limit, one.basis) == (0.77, "bundle's own")


def test_too_strict_a_budget_or_an_old_bank_says_what_is_missing(two):
    for words, budget in ((two, 0.1), (FittedWords(two.model), 5.0)):
        for found in LimitFinder(bank_of(words), KeywordSettings(false_alarms_per_hour=budget)).all():
            assert (found.limit, found.basis) == (0.77, "not enough data yet")
            assert found.needed_h > 0


def heard_of(words, part, n=1):
    return {words.model.identity(place): [part] * n for place in range(2)}


def test_quiet_hours_loosen_a_limit_and_never_by_more_than_a_quarter(two):
    quiet = heard_of(two, NearMisses(1.0, np.array([1.1, 1.2]), limit=0.77), 200)
    alone, after = (limits_of(LimitFinder(bank_of(two), BUDGET, heard).all()) for heard in ({}, quiet))
    for before, now in zip(alone, after, strict=True):
        assert before < now <= before * MOST_MOVED + 0.02
    assert {one.basis for one in LimitFinder(bank_of(two), BUDGET, quiet).all()} == {"heard"}


def test_speaking_the_word_all_day_does_not_make_it_stricter(two):
    """True utterances are nearer than the bundle's own limit: they are matches, whatever the limit in force."""
    distances = np.sort(np.random.default_rng(0).uniform(0.85, 1.0, 40))
    some = heard_of(two, NearMisses(1.0, distances, limit=0.77), 20)
    spoken = heard_of(two, NearMisses(1.0, distances, limit=0.77, matches=50), 20)
    plain, talkative = (limits_of(LimitFinder(bank_of(two), BUDGET, heard).all()) for heard in (some, spoken))
    assert talkative == pytest.approx(plain, abs=0.03)


def test_a_place_full_of_what_sounds_like_the_word_makes_it_stricter_within_bounds(two):
    near = heard_of(two, NearMisses(1.0, np.sort(np.random.default_rng(1).uniform(0.77, 0.8, 48)), 0.8, 0.77), 30)
    alone, after = (limits_of(LimitFinder(bank_of(two), BUDGET, heard).all()) for heard in ({}, near))
    for before, now in zip(alone, after, strict=True):
        assert before / MOST_MOVED - 0.02 <= now <= before
