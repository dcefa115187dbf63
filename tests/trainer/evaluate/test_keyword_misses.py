"""Misses at a rate of false alarms against counting at every threshold."""

import math

import numpy as np
import pytest

from trainer.evaluate.keyword_misses import miss_rate
from trainer.evaluate.spotting import ONSET_COLLAR_S, Spoken, Spotted

WORDS = ("on", "off")


def recordings(seed):
    """Words every two seconds, findings at some of them and elsewhere; distances of few values, so that they tie."""
    rng = np.random.default_rng(seed)
    spotted, spoken = {}, {}
    for name in ("a", "b", "background"):
        truth = [] if name == "background" else [Spoken(str(rng.choice(WORDS)), 2.0 * k, 2.0 * k + 1) for k in range(6)]
        found = [
            Spotted(s.word, s.onset_s + 0.1, s.offset_s, rng.integers(1, 6) / 10) for s in truth if rng.random() < 0.7
        ]
        found += [Spotted(str(rng.choice(WORDS)), 20 + k, 21 + k, rng.integers(2, 9) / 10) for k in range(3)]
        spoken[name], spotted[name] = truth, [found[k] for k in rng.permutation(len(found))]
    return spotted, spoken


def slow(spotted, spoken, allowed):
    best = 1.0
    for limit in [-math.inf, *(x / 10 for x in range(10))]:
        n_found = n_alarms = n_spoken = 0
        for name, truth in spoken.items():
            n_spoken += len(truth)
            passing = [s for s in spotted[name] if s.distance <= limit]
            for s in passing:
                near = [t for t in truth if t.word == s.word and abs(t.onset_s - s.onset_s) <= ONSET_COLLAR_S]
                n_found, n_alarms = n_found + bool(near), n_alarms + (not near)
        if n_alarms <= allowed:
            best = min(best, 1.0 - n_found / n_spoken)
    return best


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("per_hour", [0.0, 2.0, 4.0, 7.0, 100.0])
def test_miss_rate_equals_counting(seed, per_hour):
    spotted, spoken = recordings(seed)
    got = miss_rate(spotted, spoken, hours=0.5, false_alarms_per_hour=per_hour)
    assert got == pytest.approx(slow(spotted, spoken, 0.5 * per_hour))


def test_a_second_finding_of_one_word_is_a_false_alarm():
    spoken = {"a": [Spoken("on", 1.0, 2.0)]}
    twice = {"a": [Spotted("on", 1.0, 2.0, 0.2), Spotted("on", 1.1, 2.0, 0.1)]}
    assert miss_rate(twice, spoken, hours=1.0, false_alarms_per_hour=0.0) == 0.0
    reversed_order = {"a": [Spotted("on", 1.0, 2.0, 0.1), Spotted("off", 1.1, 2.0, 0.1)]}
    assert miss_rate(reversed_order, spoken, hours=1.0, false_alarms_per_hour=0.5) == 1.0


@pytest.mark.parametrize(("word", "missed"), [("on", 0.5), ("off", 1.0)])
def test_a_word_found_from_its_middle_on_is_missed_and_no_false_alarm(word, missed):
    spoken = {"a": [Spoken("on", 1.0, 2.0), Spoken("on", 5.0, 6.0)]}
    found = {"a": [Spotted(word, 1.5, 2.0, 0.1), Spotted("on", 5.0, 6.0, 0.2)]}
    assert miss_rate(found, spoken, hours=1.0, false_alarms_per_hour=0.0) == missed


def test_nothing_found_and_nothing_spoken():
    assert miss_rate({}, {"a": [Spoken("on", 1.0, 2.0)]}, hours=1.0, false_alarms_per_hour=1.0) == 1.0
    with pytest.raises(ValueError, match="no words"):
        miss_rate({}, {"a": []}, hours=1.0, false_alarms_per_hour=1.0)
