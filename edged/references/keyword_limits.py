"""Which limit each word has, where it comes from, and how many false alarms per hour are to be expected at it.

    configured > found for the budget > the bundle's own

For a budget, a word is judged by what came near to it in the bundle's background, and by what the stream heard since:
hours of it soon outweigh the bundle's minutes. Whoever speaks the word all day shall not make it stricter: what is
nearer than the bundle's own limit counts as matches, be it one or not, and what was heard moves a limit by a quarter at
most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edged.config import KeywordSettings
from edged.decide.keyword_budget import HourlyRate, WordTail
from edged.decide.near_misses import NearMisses
from edged.references.keyword import KeywordBank

MOST_MOVED = 1.25
MOST_EVENTS = 2_000
"""Of what was heard, the newest: a tail needs no more, and its memory is bounded."""
LOOSEST = 1.0
"""A word that ordinary speech is as near to is found everywhere, whatever the budget."""
_STEPS_PER_UNIT = 100.0

Basis = Literal["configured", "bundle's own", "bundle's speech", "heard", "not enough data yet"]
UNKNOWN_RATE = HourlyRate(math.nan, 0.0, math.inf, 0.0)
Heard = Mapping[str, Sequence[NearMisses]]
"""Identity of a word -> what the stream was near to it."""


@dataclass(frozen=True)
class WordLimit:
    """The limit of a word.

    Attributes:
        limit: normalised distance below which the word counts as found.
        basis: where it comes from.
        rate: false alarms per hour to be expected at it.
        needed_h: hours that have to be heard before the budget can be kept; None without a budget, or if it is.
    """

    word: str
    limit: float
    basis: Basis
    rate: HourlyRate
    needed_h: float | None = None


@dataclass(frozen=True)
class LimitFinder:
    """Finds the limits of all words of a bank; a word's depends on no other.

    Attributes:
        heard: empty: nothing yet.
    """

    bank: KeywordBank
    settings: KeywordSettings
    heard: Heard = field(default_factory=dict)

    def limits(self, known: Mapping[str, WordLimit] | None = None) -> list[WordLimit]:
        """In the order of the model's words; their rates are not looked into, which takes some time for many words.

        Args:
            known: identity of a word -> the limit that it keeps.
        """
        known, model = known or {}, self.bank.model
        places = range(len(model.words))
        return [known.get(model.identity(place)) or self._of(place, with_rate=False) for place in places]

    def all(self) -> list[WordLimit]:
        """The same with their rates."""
        return [self._of(place, with_rate=True) for place in range(len(self.bank.model.words))]

    def _of(self, place: int, *, with_rate: bool) -> WordLimit:
        model, settings = self.bank.model, self.settings
        word, confidence = model.words[place], settings.false_alarm_confidence
        bundled = self.bank.near_misses[place : place + 1]
        heard = _newest(self.heard.get(model.identity(place), ()))
        tail = WordTail([*bundled, *heard])

        def rate(limit: float) -> HourlyRate:
            return tail.rate(limit, confidence) if with_rate else UNKNOWN_RATE

        fixed = settings.thresholds.get(word, settings.threshold)
        if fixed is not None:
            return WordLimit(word, -fixed, "configured", rate(-fixed))
        budget = settings.false_alarms_per_hour
        if budget is None:
            return WordLimit(word, model.limit, "bundle's own", rate(model.limit))
        needed_h = tail.needed_h(budget)
        if needed_h > 0.0:
            return WordLimit(word, model.limit, "not enough data yet", rate(model.limit), needed_h)
        wanted = self._bounded(tail.limit(budget, confidence), WordTail(bundled), budget)
        limit = _stepped(min(wanted, LOOSEST))
        basis: Basis = "heard" if sum(p.hours for p in heard) > sum(p.hours for p in bundled) else "bundle's speech"
        return WordLimit(word, limit, basis, rate(limit))

    def _bounded(self, limit: float, bundled: WordTail, budget: float) -> float:
        """Not too far from what the bundle alone would say, if it says anything."""
        if not bundled.is_enough:
            return limit
        alone = bundled.limit(budget, self.settings.false_alarm_confidence)
        return min(max(limit, alone / MOST_MOVED), alone * MOST_MOVED)


def limits_of(found: Sequence[WordLimit]) -> list[float]:
    """The distances alone."""
    return [one.limit for one in found]


def _newest(parts: Sequence[NearMisses]) -> list[NearMisses]:
    """The latest of what was heard, up to a number of events."""
    kept: list[NearMisses] = []
    n_events = 0
    for part in reversed(parts):
        n_events += len(part.distances)
        if kept and n_events > MOST_EVENTS:
            break
        kept.append(part)
    return kept


def _stepped(limit: float) -> float:
    """In hundredths, rounded down: limits that wander with every look only confuse."""
    return max(math.floor(limit * _STEPS_PER_UNIT + 1e-9), 1) / _STEPS_PER_UNIT
