"""Log spectrograms of single clips, small enough for a page."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from edged.features.spectrogram import magnitude_frames
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.report.figure import as_svg, drawing

N_FFT, HOP_SAMPLES = 1024, 512
MAX_FRAMES = 320
BINS_AT_ONCE = 4
RANGE_DB = 80.0
MAX_S = 600.0
"""What a spectrogram shows at most, from the beginning."""


def log_spectrogram(samples: Float32Array) -> Float32Array:
    """Loudest bin of every few, in dB: float32 (n_samples,) at 16 kHz -> (n_frames <= 320, 128).

    Shorter signals than one frame are padded with silence.
    """
    samples = samples[: int(MAX_S * SAMPLE_RATE_HZ)]
    padded = np.pad(samples, (0, max(0, N_FFT - len(samples))))
    frames = magnitude_frames(padded, N_FFT, HOP_SAMPLES)[:, 1:]  # (n_frames, 512)
    bins = frames.reshape(len(frames), -1, BINS_AT_ONCE).max(axis=2)
    edges = np.unique(np.linspace(0, len(bins), min(len(bins), MAX_FRAMES), endpoint=False).astype(int))
    pooled = np.maximum.reduceat(bins, edges, axis=0)
    return np.asarray(20.0 * np.log10(np.maximum(pooled, 1e-7)), np.float32)


def spectrogram_plot(spectrogram_db: Float32Array, duration_s: float, name: str) -> Markup:
    """The picture, for the page.

    Args:
        spectrogram_db: (n_frames, n_bins) of `log_spectrogram`.
        duration_s: length of the clip.
        name: of the figure in the page.
    """
    top = float(spectrogram_db.max())
    with drawing(4.1, 2.0, left=0.1, right=0.98, bottom=0.21, top=0.96) as figure:
        axes = figure.add_subplot()
        extent = (0.0, max(duration_s, 1e-3), 0.0, SAMPLE_RATE_HZ / 2000.0)
        image = axes.imshow(spectrogram_db.T, origin="lower", aspect="auto", extent=extent, interpolation="none")
        image.set(cmap="magma", clim=(top - RANGE_DB, top))
        axes.grid(visible=False)
        axes.set(xlabel="s", ylabel="kHz")
        return as_svg(figure, name, "log spectrogram")
