"""How new sound lies to what a bank knows: how much of it was normal already, and what it costs the old sound.

The cost is told in strengths: some references are moved away from normal, in fixed directions, until the old bank
raises an alarm; how much farther must they go until the new one does? A set so scattered that the threshold rises far
above the old sound's shows as a large factor, whatever units the scores are in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edged.flow import Float32Array, Float64Array
from edged.references.anomaly import AnomalyBank

N_PROBES = 24
MAX_STRENGTH = 1e3
_STEPS = 24


@dataclass(frozen=True)
class Overlap:
    """Where new clips lie to the old bank.

    Attributes:
        nearest: the old domain nearest to most of their segments.
        share_below: share of the clips that the old bank takes for normal.
        distance: median score of the clips by the old bank, in thresholds of its normal sound alone: labels may have
            lowered the one in force to anything.
    """

    nearest: str
    share_below: float
    distance: float


def overlap(old: AnomalyBank, clips: list[Mapping[str, Float32Array]], plain_threshold: float | None = None) -> Overlap:
    """Judge new clips by the old bank.

    Args:
        clips: for every clip representation name -> float32 (n_segments, dim).
        plain_threshold: of its normal sound alone; None = the one in force.
    """
    scores = np.array([float(old.scorer.scores(clip).mean()) for clip in clips])
    nearest = Counter(domain for clip in clips for domain in _nearest_domains(old, clip))
    share_below = float(np.mean(scores <= old.threshold))
    return Overlap(
        nearest.most_common(1)[0][0], share_below, float(np.median(scores)) / (plain_threshold or old.threshold)
    )


def strength_factor(old: AnomalyBank, new: AnomalyBank) -> float:
    """How much stronger a fault near the old sound must be to be noticed by the new bank; 1 = as before."""
    probes = _probes(old)
    before, after = (_least_strengths(bank, probes) for bank in (old, new))
    return float(np.median(after / before))


@dataclass(frozen=True)
class _Probes:
    """References and directions away from them, name -> (N_PROBES, dim)."""

    at: Mapping[str, Float64Array]
    direction: Mapping[str, Float64Array]

    def moved(self, strength: Float64Array) -> dict[str, Float32Array]:
        return {
            name: (rows + strength[:, np.newaxis] * self.direction[name]).astype(np.float32)
            for name, rows in self.at.items()
        }


def _probes(old: AnomalyBank) -> _Probes:
    """References spread evenly over the old ones, and random directions as long as the old sound is wide."""
    rng = np.random.default_rng(0)
    at, direction = {}, {}
    for name, set_ in old.references.items():
        rows = np.linspace(0, len(set_) - 1, min(N_PROBES, len(set_))).round().astype(np.int64)
        at[name] = set_.vectors[rows].astype(np.float64)
        drawn = rng.standard_normal(at[name].shape)
        width = max(
            float(set_.vectors.std(axis=0, dtype=np.float64).mean()), 1e-6 + 1e-3 * float(np.abs(at[name]).mean())
        )
        direction[name] = width * drawn
    return _Probes(at, direction)


def _least_strengths(bank: AnomalyBank, probes: _Probes) -> Float64Array:
    """How far each probe goes until it exceeds the threshold, by bisection in the logarithm."""
    n_probes = len(next(iter(probes.at.values())))
    low, high = np.full(n_probes, 1.0 / MAX_STRENGTH), np.full(n_probes, MAX_STRENGTH)
    for _ in range(_STEPS):
        middle = np.sqrt(low * high)
        above = bank.scorer.scores(probes.moved(middle)) > bank.threshold
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray(high)


def _nearest_domains(old: AnomalyBank, clip: Mapping[str, Float32Array]) -> list[str]:
    heaviest = max(old.scorer.parts, key=lambda part: part.weight)
    return [old.scorer.domains[row] for row in heaviest.backend.nearest(clip[heaviest.name]).tolist()]
