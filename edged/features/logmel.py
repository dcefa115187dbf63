"""Log-mel spectra of groups of frames."""

from __future__ import annotations

import functools

import numpy as np

from edged.features.spectrogram import frames_of, rfft_double
from edged.flow import Float32Array

SILENCE_DB = -140.0
"""What digital silence is taken for, in dB of full scale."""


def log_mel_db(
    signal: Float32Array, n_frames: int, weights: Float32Array, n_fft: int, hop_samples: int
) -> Float32Array:
    """Log-mel power of the first ``n_frames`` frames of ``signal``.

    The result for a frame may depend in its last bit on how many frames are asked for at once (that is how BLAS is):
    who needs exactness asks for the same number on the same grid every time.

    Args:
        signal: float32 (>= (n_frames - 1) * hop_samples + n_fft,), full scale = +-1.
        weights: (n_mels, n_fft // 2 + 1) of :func:`edged.features.mel.mel_weights`.

    Returns:
        float32 (n_frames, n_mels), dB; a full-scale sine has about 0 dB in its band.
    """
    frames = frames_of(signal, n_fft, hop_samples)[:n_frames]
    window, scale = _window(n_fft)
    spectrum = rfft_double(frames * window)
    real, imag = spectrum.real.astype(np.float32), spectrum.imag.astype(np.float32)
    power = (real * real + imag * imag) * (scale * scale)  # (n_frames, n_fft // 2 + 1)
    floor = np.float32(10.0 ** (SILENCE_DB / 10.0))
    return np.asarray(10.0 * np.log10(power @ weights.T + floor), dtype=np.float32)


@functools.lru_cache(maxsize=8)
def _window(n_fft: int) -> tuple[Float32Array, np.float32]:
    """Hann window, read-only, and the factor that gives a full-scale sine the magnitude 1."""
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    window.flags.writeable = False
    return window, np.float32(2.0 / window.sum())
