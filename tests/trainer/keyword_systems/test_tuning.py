"""Limits for all words and for each, against trying everything."""

import numpy as np

from trainer.evaluate.spotting import Spoken, Spotted
from trainer.keyword_systems.decide import Evidence
from trainer.keyword_systems.tuning import judged, word_curve

NOTHING = Evidence(np.zeros((1, 2)), np.zeros((1, 2), dtype=np.int64))
LIMITS = np.array([0.15, 0.25, 0.35, 0.45])
SPOKEN = {"f": [Spoken("a", 1.0, 1.5), Spoken("b", 2.0, 2.5)], "g": [Spoken("b", 3.0, 3.5)]}
FOUND = {
    "f": [Spotted("a", 1.0, 1.5, 0.1), Spotted("a", 4.0, 4.5, 0.2), Spotted("b", 2.1, 2.5, 0.4)],
    "g": [Spotted("b", 3.0, 3.5, 0.3), Spotted("a", 0.0, 0.5, 0.3)],
}


class Given:
    """Findings that are known before; only the limits count."""

    words = ("a", "b")

    def __init__(self, name: str) -> None:
        self.name = name

    def findings(self, evidence: Evidence, limits: np.ndarray) -> list[Spotted]:
        by_word = dict(zip(self.words, limits, strict=True))
        return [f for f in FOUND["fg"[int(evidence.distances[0, 0])]] if f.distance < by_word[f.word]]

    def sweep(self, evidence: Evidence, limits: np.ndarray) -> list[list[Spotted]]:
        return [self.findings(evidence, np.full(2, limit)) for limit in limits]


EVIDENCE = {"f": NOTHING, "g": Evidence(np.ones((1, 2)), NOTHING.starts)}


def test_limits_are_those_with_the_highest_f1() -> None:
    decider = Given("both")
    curve = word_curve(decider, EVIDENCE, SPOKEN, LIMITS)
    f1 = [judged(decider, EVIDENCE, SPOKEN, np.full(2, limit)).f1 for limit in LIMITS]
    assert curve.common_limits().tolist() == [LIMITS[int(np.argmax(f1))]] * 2
    assert curve.own_limits().tolist() == [0.15, 0.45]
    assert judged(decider, EVIDENCE, SPOKEN, curve.own_limits()).f1 == 1.0
    assert judged(decider, EVIDENCE, SPOKEN, curve.common_limits()).f1 < 1.0


def test_a_word_that_is_never_found_has_the_common_limit() -> None:
    spoken = {"f": [Spoken("a", 1.0, 1.5)], "g": [Spoken("b", 9.0, 9.5)]}
    curve = word_curve(Given("one"), EVIDENCE, spoken, LIMITS)
    assert curve.own_limits()[1] == curve.common_limits()[0] == 0.15


def test_decisions_add_up() -> None:
    counts = judged(Given("both"), EVIDENCE, SPOKEN, np.full(2, 0.35))
    assert (counts.n_true_positive, counts.n_false_positive, counts.n_false_negative) == (2, 2, 1)
