"""Limits tuned on one part of the sentences and judged on another: one for all words, or one for each (table 31)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edged.flow import Float64Array
from trainer.evaluate.counts import Counts
from trainer.evaluate.spotting import Spoken, Spotted, matched
from trainer.keyword_systems.decide import Decider, Evidence

LIMITS = np.round(np.arange(0.01, 1.2, 0.01), 2)
"""Distances that are tried."""

Truth = Mapping[str, Sequence[Spoken]]


@dataclass(frozen=True)
class WordCurve:
    """Decisions about each word at each common limit.

    Attributes:
        limits: float64 (n_limits,).
        n_found: int64 (n_limits, n_words).
        n_right: those of them that are right.
        n_spoken: int64 (n_words,).
    """

    limits: Float64Array
    n_found: np.ndarray
    n_right: np.ndarray
    n_spoken: np.ndarray

    def common_limits(self) -> Float64Array:
        """The limit with the highest micro-averaged F1, for each word."""
        f1 = _f1(self.n_right.sum(axis=1), self.n_found.sum(axis=1), int(self.n_spoken.sum()))
        return np.full(len(self.n_spoken), _best_limit(self.limits, f1))

    def own_limits(self) -> Float64Array:
        """Each word's limit with the highest F1 of its own; the common one where the word was never found."""
        common = self.common_limits()
        own = [
            _best_limit(self.limits, f1) if (f1 := _f1(right, found, spoken)).max() > 0.0 else common[0]
            for right, found, spoken in zip(self.n_right.T, self.n_found.T, self.n_spoken, strict=True)
        ]
        return np.array(own)


def word_curve(
    decider: Decider, evidence: Mapping[str, Evidence], spoken: Truth, limits: Float64Array = LIMITS
) -> WordCurve:
    """Judge each common limit on the recordings of `spoken`."""
    words = {word: index for index, word in enumerate(decider.words)}
    n_found, n_right = np.zeros((2, len(limits), len(words)), dtype=np.int64)
    for name, truth in spoken.items():
        for at, found in enumerate(decider.sweep(evidence[name], limits)):
            for spotted, right in zip(found, matched(found, truth), strict=True):
                n_found[at, words[spotted.word]] += 1
                n_right[at, words[spotted.word]] += right
    said = [s.word for truth in spoken.values() for s in truth]
    return WordCurve(limits, n_found, n_right, np.array([said.count(word) for word in words]))


def judged(decider: Decider, evidence: Mapping[str, Evidence], spoken: Truth, limits: Float64Array) -> Counts:
    """Decisions over all words at given limits; their F1 is the micro-average."""
    total = Counts()
    for name, truth in spoken.items():
        found: Sequence[Spotted] = decider.findings(evidence[name], limits)
        n_right = sum(matched(found, truth))
        total += Counts(n_right, len(found) - n_right, len(truth) - n_right)
    return total


def _f1(n_right: np.ndarray, n_found: np.ndarray, n_spoken: int) -> Float64Array:
    return np.asarray(2.0 * n_right / np.maximum(1, n_found + n_spoken))


def _best_limit(limits: Float64Array, f1: Float64Array) -> float:
    """The middle one of those that are best."""
    best = np.flatnonzero(f1 == f1.max())
    return float(limits[best[len(best) // 2]])
