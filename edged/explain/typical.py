"""What is typical of a bank: the level of every mel band, as far as the vectors it holds tell it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edged.features.anomaly import AnomalySpec
from edged.features.statistics import Statistic, statistics_vector
from edged.flow import Float32Array, Float64Array
from edged.references.anomaly import AnomalyBank

LEVELS: tuple[Statistic, ...] = ("mean", "p50", "p75", "p25", "p95", "p5", "max")
"""Statistics that are a level, those that say most of the ordinary level first."""
_LOCAL_BANDS = 9
"""Mel bands whose median stands for the level around one of them."""


@dataclass(frozen=True)
class Typical:
    """Levels to compare with.

    Attributes:
        statistic: of the levels over time in a band, which `levels_db` gives.
        levels_db: (n_mels,) relative to a segment's level; None = the bank holds none, compare with the sound itself.
    """

    statistic: Statistic
    levels_db: Float64Array | None

    def of(self, bands_db: Float32Array) -> Float64Array:
        """The same statistic of a sound: (n_frames, n_mels) -> (n_mels,)."""
        return np.asarray(statistics_vector(bands_db, (self.statistic,)), np.float64)

    def expected_db(self, bands_db: Float32Array) -> Float64Array:
        """What (n_mels,) should be where a sound (n_frames, n_mels) is normal.

        The segment's level, to which all is relative, is moved by what is abnormal too; the median band takes that out.
        Without levels in the bank every band is expected to be like those around it.
        """
        own = self.of(bands_db)
        if self.levels_db is None:
            padded = np.pad(own, _LOCAL_BANDS // 2, mode="reflect")
            return np.asarray(np.median(sliding_window_view(padded, _LOCAL_BANDS), axis=1))
        return self.levels_db + float(np.median(own - self.levels_db))


def typical_of(bank: AnomalyBank, spec: AnomalySpec, domain: str) -> Typical:
    """The mean level of a domain's references in every mel band."""
    found = next((place for name in LEVELS if (place := _place(bank, spec, name))), None)
    if found is None:
        return Typical("p50", None)
    name, number, statistic = found
    references = bank.references[name]
    rows = np.array([own == domain for own in references.domains])
    vectors = references.vectors[rows if rows.any() else slice(None)]
    start = number * spec.n_mels
    return Typical(statistic, vectors[:, start : start + spec.n_mels].mean(axis=0, dtype=np.float64))


def _place(bank: AnomalyBank, spec: AnomalySpec, wanted: Statistic) -> tuple[str, int, Statistic] | None:
    """Which vector of the bank holds a statistic, and at which place in it."""
    for name, statistics in spec.statistics.items():
        if name in bank.references and wanted in statistics:
            return name, statistics.index(wanted), wanted
    return None
