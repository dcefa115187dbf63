"""The cells of an explanation: groups of mel bands times slices of time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edged.features.anomaly import AnomalySpec
from edged.features.mel import hz_to_mel, mel_to_hz
from edged.flow import SAMPLE_RATE_HZ, Float64Array


@dataclass(frozen=True)
class Grid:
    """How a segment is cut.

    Attributes:
        spec: the front end.
        n_times: slices of time, of (nearly) equally many frames.
        n_bands: groups of neighbouring mel bands, of (nearly) equally many.
    """

    spec: AnomalySpec
    n_times: int
    n_bands: int

    @cached_property
    def slice_of_frame(self) -> NDArray[np.int64]:
        """(n_frames,) number of the slice a frame belongs to."""
        return np.arange(self.spec.n_frames) * self.n_times // self.spec.n_frames

    @cached_property
    def group_of_band(self) -> NDArray[np.int64]:
        """(n_mels,) number of the group a mel band belongs to."""
        return np.arange(self.spec.n_mels) * self.n_bands // self.spec.n_mels

    @cached_property
    def band_of_bin(self) -> NDArray[np.int64]:
        """(n_bins,) number of the mel band with the centre nearest to an STFT bin."""
        distance_hz = np.abs(bin_frequencies_hz(self.spec)[:, np.newaxis] - mel_centres_hz(self.spec))
        return np.asarray(distance_hz.argmin(axis=1), np.int64)

    @cached_property
    def group_of_bin(self) -> NDArray[np.int64]:
        """(n_bins,) number of the group an STFT bin belongs to."""
        return np.asarray(self.group_of_band[self.band_of_bin])

    @property
    def band_edges_hz(self) -> Float64Array:
        """(n_bands + 1,) where the groups meet."""
        edges = _mel_edges_hz(self.spec)
        first = np.searchsorted(self.group_of_band, np.arange(self.n_bands))
        inner = np.sqrt(edges[first[1:]] * edges[first[1:] + 1])  # between the centres on both sides
        return np.concatenate([edges[:1], inner, edges[-1:]])

    @property
    def time_edges_s(self) -> Float64Array:
        """(n_times + 1,) where the slices meet, from the segment's beginning."""
        first = np.searchsorted(self.slice_of_frame, np.arange(1, self.n_times))
        hop, overlap = self.spec.frame_hop_samples, self.spec.n_fft - self.spec.frame_hop_samples
        inner = (first * hop + overlap / 2) / SAMPLE_RATE_HZ
        return np.concatenate([[0.0], inner, [self.spec.segment_samples / SAMPLE_RATE_HZ]])

    def cells(self, hidden: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Cells (n_times, n_bands) as places of a spectrogram (n_frames, n_bins)."""
        return hidden[np.ix_(self.slice_of_frame, self.group_of_bin)]


def bin_frequencies_hz(spec: AnomalySpec) -> Float64Array:
    """(n_bins,) frequency of every STFT bin."""
    return np.arange(spec.n_fft // 2 + 1, dtype=np.float64) * (spec.sample_rate_hz / spec.n_fft)


def mel_centres_hz(spec: AnomalySpec) -> Float64Array:
    """(n_mels,) centre of every mel band."""
    return _mel_edges_hz(spec)[1:-1]


def _mel_edges_hz(spec: AnomalySpec) -> Float64Array:
    ends = hz_to_mel(np.array([spec.mel_fmin_hz, spec.mel_fmax_hz]))
    return mel_to_hz(np.linspace(ends[0], ends[1], spec.n_mels + 2))
