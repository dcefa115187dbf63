"""A segment as it would be if some of its time and frequency sounded typical; then the whole front end again.

    samples -> STFT magnitudes --cells replaced--> level, log-mel, statistics, spectrum of the segment

A hidden cell is scaled so that each mel band gets its typical level there: the excess goes, the texture stays. Where a
band is far off for a while only, its most ordinary slice is put there instead, texture and all: a tone that came and
went leaves no steady line behind. The level of the whole segment is taken anew, so that hiding a loud fault lets
everything else stand where it would without it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edged.explain.grid import Grid, bin_frequencies_hz, mel_centres_hz
from edged.explain.typical import Typical
from edged.features.anomaly import AnomalySpec, bands_of, features_of, repeat_to_length
from edged.features.spectrogram import magnitude_frames
from edged.features.spectrum import segment_spectrum
from edged.flow import Float32Array, Float64Array, Segment

_MAX_GAIN_DB = 60.0
_FAR_OFF_DB = 3.0


class Occluder:
    """Makes variants of one segment.

    Args:
        spec: the front end.
        samples: float32 (n_samples,) of the segment; repeated to length when shorter.
        typical: what hidden cells become.
        grid: the cells.
    """

    def __init__(self, spec: AnomalySpec, samples: Float32Array, typical: Typical, grid: Grid) -> None:
        self.spec, self.grid = spec, grid
        whole = repeat_to_length(samples, spec.segment_samples)
        self._frames = magnitude_frames(whole, spec.n_fft, spec.frame_hop_samples)
        self._spectrum = segment_spectrum(whole) if "spectrum" in spec.inputs else None
        self.bands_db = bands_of(self._frames, spec)  # (n_frames, n_mels)
        self._typical_frames = self._typical(typical)
        self._bin_of_line = _bin_of_line(spec)
        self._power = _power(self._frames)

    def hidden(self, cells: NDArray[np.bool_]) -> Segment:
        """The segment with cells (n_times, n_bands) made typical."""
        frames = np.where(self.grid.cells(cells), self._typical_frames, self._frames)
        spectrum = None if self._spectrum is None else self._spectrum * self._line_factors(frames)
        return Segment(0, self.spec.segment_samples, features_of(frames, spectrum, self.spec))

    def _typical(self, typical: Typical) -> Float32Array:
        """The frames with every cell made typical: (n_frames, n_bins)."""
        expected = typical.expected_db(self.bands_db)
        slice_of_frame, n_mels = self.grid.slice_of_frame, self.spec.n_mels
        first = np.searchsorted(slice_of_frame, np.arange(self.grid.n_times + 1))
        own = np.stack([typical.of(self.bands_db[a:b]) for a, b in pairwise(first)])  # (n_times, n_mels)
        off = np.abs(own - expected)
        ordinary = off.argmin(axis=0)
        own_slices = np.arange(self.grid.n_times)[:, np.newaxis]
        lender = np.where(off > off.min(axis=0) + _FAR_OFF_DB, ordinary, own_slices)  # (n_times, n_mels)
        gains = np.clip(expected - own[lender, np.arange(n_mels)], -_MAX_GAIN_DB, _MAX_GAIN_DB)
        place = (np.arange(self.spec.n_frames) - first[slice_of_frame])[:, np.newaxis]
        lender_of_bin = lender[:, self.grid.band_of_bin][slice_of_frame]  # (n_frames, n_bins)
        rows = np.minimum(first[lender_of_bin] + place, first[lender_of_bin + 1] - 1)
        return np.take_along_axis(self._frames, rows, axis=0) * _as_factor(gains, self.spec)[slice_of_frame]

    def _line_factors(self, frames: Float32Array) -> Float32Array:
        """Scale of the segment's spectrum (n_lines,): that of the mean power in the STFT bin around a line."""
        ratio = np.sqrt(_power(frames) / np.maximum(self._power, np.finfo(np.float32).tiny))
        return np.asarray(ratio[self._bin_of_line], np.float32)


def _power(frames: Float32Array) -> Float32Array:
    """Sum of the power over time: (n_frames, n_bins) -> (n_bins,)."""
    return np.asarray(np.einsum("tf,tf->f", frames, frames))


def _as_factor(gains_db: Float64Array, spec: AnomalySpec) -> Float32Array:
    """Gains of mel bands as factors of bins, interpolated in frequency: (n, n_mels) -> (n, n_bins)."""
    at, centres = bin_frequencies_hz(spec), mel_centres_hz(spec)
    right = np.clip(np.searchsorted(centres, at), 1, len(centres) - 1)
    share = np.clip((at - centres[right - 1]) / (centres[right] - centres[right - 1]), 0.0, 1.0)
    of_bins = gains_db[:, right - 1] * (1.0 - share) + gains_db[:, right] * share
    return np.asarray(10.0 ** (of_bins / 20.0), np.float32)


def _bin_of_line(spec: AnomalySpec) -> NDArray[np.int64]:
    """STFT bin around every line of the segment's spectrum: (segment_samples // 2,)."""
    lines = np.arange(spec.segment_samples // 2)
    return np.asarray(np.rint(lines * spec.n_fft / spec.segment_samples), np.int64)
