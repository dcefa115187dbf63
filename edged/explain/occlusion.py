"""A segment as it would be if some of its time and frequency sounded typical; then the whole front end again.

    samples -> STFT magnitudes --cells replaced--> level, log-mel, statistics, spectrum of the segment

A cell's magnitudes are scaled so that each mel band gets its typical level there, and limited to what the band usually
reaches above it: the texture of the sound stays, its excess goes. The level of the whole segment is taken anew, so that
hiding a loud fault lets everything else stand where it would without it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.explain.grid import Grid, bin_frequencies_hz, mel_centres_hz
from edged.explain.typical import Typical
from edged.features.anomaly import AnomalySpec, bands_of, features_of, repeat_to_length
from edged.features.spectrogram import magnitude_frames
from edged.features.spectrum import segment_spectrum
from edged.flow import Float32Array, Float64Array, Segment

_USUAL_PERCENTILE = 95
_MAX_GAIN_DB = 60.0


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
        self._typical_frames = self._frames * _as_factor(self._gains_db(typical), spec)
        self._bin_of_line = _bin_of_line(spec)

    def hidden(self, cells: NDArray[np.bool_]) -> Segment:
        """The segment with cells (n_times, n_bands) made typical."""
        frames = np.where(self.grid.cells(cells), self._typical_frames, self._frames)
        spectrum = None if self._spectrum is None else self._spectrum * self._line_factors(frames)
        return Segment(0, self.spec.segment_samples, features_of(frames, spectrum, self.spec))

    def _gains_db(self, typical: Typical) -> Float64Array:
        """What makes every mel band typical in every slice: (n_frames, n_mels)."""
        expected = typical.expected_db(self.bands_db)
        slices = [self.bands_db[self.grid.slice_of_frame == number] for number in range(self.grid.n_times)]
        own = np.stack([typical.of(frames) for frames in slices])  # (n_times, n_mels)
        peaks = np.stack([np.percentile(frames, _USUAL_PERCENTILE, axis=0) for frames in slices])
        usual = np.median(peaks - own, axis=0)  # what a band reaches above its level in an ordinary slice
        gains = np.clip(expected - own, -_MAX_GAIN_DB, _MAX_GAIN_DB)[self.grid.slice_of_frame]
        return np.minimum(gains, expected + usual - self.bands_db)

    def _line_factors(self, frames: Float32Array) -> Float32Array:
        """Scale of the segment's spectrum (n_lines,): that of the mean power in the STFT bin around a line."""
        power, own = (np.square(f, dtype=np.float64).mean(axis=0) for f in (frames, self._frames))
        ratio = np.sqrt(power / np.maximum(own, np.finfo(np.float32).tiny))
        return np.asarray(ratio[self._bin_of_line], np.float32)


def _as_factor(gains_db: Float64Array, spec: AnomalySpec) -> Float32Array:
    """Gains of mel bands as factors of bins, interpolated in frequency: (n_frames, n_mels) -> (n_frames, n_bins)."""
    at, centres = bin_frequencies_hz(spec), mel_centres_hz(spec)
    right = np.clip(np.searchsorted(centres, at), 1, len(centres) - 1)
    share = np.clip((at - centres[right - 1]) / (centres[right] - centres[right - 1]), 0.0, 1.0)
    of_bins = gains_db[:, right - 1] * (1.0 - share) + gains_db[:, right] * share
    return np.asarray(10.0 ** (of_bins / 20.0), np.float32)


def _bin_of_line(spec: AnomalySpec) -> NDArray[np.int64]:
    """STFT bin around every line of the segment's spectrum: (segment_samples // 2,)."""
    lines = np.arange(spec.segment_samples // 2)
    return np.asarray(np.rint(lines * spec.n_fft / spec.segment_samples), np.int64)
