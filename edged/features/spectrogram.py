"""Magnitude spectrograms, frame by frame on an absolute grid.

Frame ``k`` covers samples ``k * hop .. k * hop + n_fft`` of the signal, without padding. Every operation is done per
frame (one FFT per row, then correctly rounded products, sums and roots), so a frame has the same bits no matter how
many others were computed with it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from edged.flow import Float32Array


@lru_cache(maxsize=8)
def hann(n_fft: int) -> Float32Array:
    """Periodic Hann window: float32 (n_fft,), read-only.

    >>> hann(4).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    window = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)
    window.flags.writeable = False
    return window


def frame_count(n_samples: int, n_fft: int, hop_samples: int) -> int:
    """How many whole frames a signal holds.

    >>> frame_count(160_000, 1024, 512)
    311
    """
    return max(0, (n_samples - n_fft) // hop_samples + 1)


def frames_of(samples: Float32Array, n_fft: int, hop_samples: int) -> Float32Array:
    """Every whole frame of a signal: float32 (n_samples,) -> (n_frames, n_fft), a view to be read only.

    >>> frames_of(np.arange(5, dtype=np.float32), 3, 2).tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]
    """
    (step,) = samples.strides
    shape = (frame_count(len(samples), n_fft, hop_samples), n_fft)
    return as_strided(samples, shape, (hop_samples * step, step), writeable=False)


def magnitude_frames(samples: Float32Array, n_fft: int, hop_samples: int) -> Float32Array:
    """|STFT| of every whole frame (thesis 5.3.1): float32 (n_samples,) -> (n_frames, n_fft // 2 + 1)."""
    frames = frames_of(samples, n_fft, hop_samples)
    if len(frames) == 0:
        return np.empty((0, n_fft // 2 + 1), np.float32)
    return magnitude(rfft_double(frames * hann(n_fft)))


def rfft_double(frames: Float32Array) -> NDArray[np.complex128]:
    """Spectrum of every row, (n_rows, n_fft) -> (n_rows, n_fft // 2 + 1), by a transform in double precision.

    `numpy.fft` of single precision does the same inside, but casts in small pieces, which takes four times as long.
    """
    return np.fft.rfft(frames.astype(np.float64), axis=1)


def magnitude(spectrum: np.ndarray) -> Float32Array:
    """|z| from correctly rounded operations only, so that the bits do not depend on the array's length."""
    real = spectrum.real.astype(np.float32)
    imag = spectrum.imag.astype(np.float32)
    result: Float32Array = np.sqrt(real * real + imag * imag)
    return result


def temporal_mean_removed(frames: Float32Array) -> Float32Array:
    """Temporal mean normalisation, TMN (thesis 5.3.1): (n_frames, n_bins) minus its mean over time."""
    result: Float32Array = frames - frames.mean(axis=0, keepdims=True)
    return result


class StreamingSpectrogram:
    """Frames of a growing signal, each computed once.

    Args:
        n_fft: frame and FFT length in samples.
        hop_samples: from one frame to the next.
    """

    def __init__(self, n_fft: int, hop_samples: int) -> None:
        self._n_fft = n_fft
        self._hop = hop_samples
        self._pending = np.empty(0, np.float32)

    def push(self, samples: Float32Array) -> Float32Array:
        """New samples -> the frames they complete: float32 (n_frames, n_fft // 2 + 1)."""
        signal = np.concatenate([self._pending, samples])
        frames = magnitude_frames(signal, self._n_fft, self._hop)
        self._pending = signal[len(frames) * self._hop :].copy()
        return frames
