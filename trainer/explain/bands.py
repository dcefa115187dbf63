"""Band by band: what each adds to the anomaly score, from the average normal sound to the one that is explained.

Statistics over time have no place in time, so a band is replaced in their vectors by that of the average normal sound.
The network's image gets the same band at the normal level throughout, so that all representations share one axis.

Replacing a single band misleads: neighbouring bands move together, and one that no longer fits the rest raises the
score whichever way it was. So bands are replaced one after another in random orders until all are normal, and the steps
of the score are averaged: the Shapley value (Castro, Gómez and Tejada 2009). The bands then add up exactly to what the
score is above that of the average normal sound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.features.anomaly import AnomalySpec
from edged.features.mel import hz_to_mel, mel_to_hz
from edged.flow import Float32Array, Float64Array, Segment
from edged.score.anomaly import Part
from trainer.explain.bundle_scorer import FittedBundle
from trainer.explain.masks import FREQUENCY_CELLS

NETWORK = "network"
"""Name of the network's contributions, whatever its outputs are called."""
_STATISTICS_ORDERS = 64
_NETWORK_ORDERS = 16
_BATCH = 16

ScoreReplaced = Callable[[NDArray[np.bool_]], Float64Array]
"""Which bands, or groups of bands, are replaced, bool (n, n_bands) -> anomaly scores (n,)."""


@dataclass(frozen=True)
class MelBands:
    """Where the bands of a front end lie, in Hz: each triangle's lower end, centre and upper end, (n_mels,) each."""

    low_hz: Float64Array
    centre_hz: Float64Array
    high_hz: Float64Array

    @classmethod
    def of(cls, spec: AnomalySpec) -> MelBands:
        """The bands of a front end."""
        ends = hz_to_mel(np.array([spec.mel_fmin_hz, spec.mel_fmax_hz]))
        edges = mel_to_hz(np.linspace(ends[0], ends[1], spec.n_mels + 2))
        return cls(edges[:-2], edges[1:-1], edges[2:])

    def nearest(self, frequencies_hz: Float64Array) -> NDArray[np.intp]:
        """Number of the band with the nearest centre: (n,) -> (n,)."""
        return np.asarray(np.abs(frequencies_hz[:, np.newaxis] - self.centre_hz).argmin(axis=1))


def image_frequencies_hz(spec: AnomalySpec, image_name: str) -> Float64Array:
    """Frequency of every bin of a network's image: (n_bins,)."""
    if image_name == "log_mel":
        return MelBands.of(spec).centre_hz
    return np.arange(spec.n_fft // 2 + 1, dtype=np.float64) * (spec.sample_rate_hz / spec.n_fft)


def band_contributions(fitted: FittedBundle, segment: Segment, *, seed: int = 0) -> dict[str, Float64Array]:
    """What every band adds to the anomaly score: representation, or `NETWORK`, -> (n_mels,).

    Args:
        fitted: the bundle, with normal clips.
        segment: the sound that is explained.
        seed: of the orders.
    """
    rng = np.random.default_rng(seed)
    n_mels = fitted.spec.n_mels
    found = {
        part.name: shapley_values(_statistics_scores(fitted, part, segment), n_mels, _STATISTICS_ORDERS, rng)
        for part in fitted.parts("features")
        if part.name in fitted.spec.statistics
    }
    return found | ({NETWORK: _network_contributions(fitted, segment, rng)} if fitted.image_name else {})


def shapley_values(scores_of: ScoreReplaced, n_bands: int, n_orders: int, rng: np.random.Generator) -> Float64Array:
    """Average step of the score by each band, over random orders and their reverses: (n_bands,).

    The sum is exactly the score with nothing replaced minus the score with everything replaced.

    Args:
        scores_of: scores for sets of replaced bands.
        n_bands: how many there are.
        n_orders: even; each band's value is known to one over its root.
        rng: of the orders.
    """
    values = np.zeros(n_bands)
    for _ in range(n_orders // 2):
        order = rng.permutation(n_bands)
        for direction in (order, order[::-1]):
            rank = np.argsort(direction)
            is_replaced = rank < np.arange(n_bands + 1)[:, np.newaxis]  # (n_bands + 1, n_bands), one more in every row
            values[direction] -= np.diff(scores_of(is_replaced))
    return values / (n_orders // 2 * 2)


def _statistics_scores(fitted: FittedBundle, part: Part, segment: Segment) -> ScoreReplaced:
    n_mels = fitted.spec.n_mels
    own, normal = (v.reshape(-1, n_mels) for v in (segment.features[part.name], fitted.means[part.name]))

    def scores_of(is_replaced: NDArray[np.bool_]) -> Float64Array:
        vectors = np.where(is_replaced[:, np.newaxis], normal, own)  # (n, n_statistics, n_mels)
        return fitted.contribution(part, vectors.reshape(len(vectors), -1))

    return scores_of


def _network_contributions(fitted: FittedBundle, segment: Segment, rng: np.random.Generator) -> Float64Array:
    """Neighbouring bands as groups, as fine as the masks of the map: every order costs a run of the network per group.

    Each band gets the same share of its group's value.
    """
    n_mels = fitted.spec.n_mels
    n_groups = min(FREQUENCY_CELLS, n_mels)
    group_of_band = np.arange(n_mels) * n_groups // n_mels
    values = shapley_values(_network_scores(fitted, segment, group_of_band), n_groups, _NETWORK_ORDERS, rng)
    result: Float64Array = (values / np.bincount(group_of_band))[group_of_band]
    return result


def _network_scores(fitted: FittedBundle, segment: Segment, group_of_band: NDArray[np.intp]) -> ScoreReplaced:
    """Every bin of the image is replaced with the group of the mel band it is nearest to."""
    name = fitted.image_name or ""
    image: Float32Array = segment.features[name]
    group_of_bin = group_of_band[MelBands.of(fitted.spec).nearest(image_frequencies_hz(fitted.spec, name))]
    scores_of_images = fitted.network_scores(segment)

    def scores_of(is_replaced: NDArray[np.bool_]) -> Float64Array:
        pieces = (is_replaced[start : start + _BATCH] for start in range(0, len(is_replaced), _BATCH))
        return np.concatenate(
            [scores_of_images(np.where(piece[:, np.newaxis, group_of_bin], fitted.hidden, image)) for piece in pieces]
        )

    return scores_of
