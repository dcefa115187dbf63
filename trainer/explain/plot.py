"""The picture of an explanation: what was heard, where the network looks, and which bands make the score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from edged.features.mel import hz_to_mel, mel_to_hz
from edged.flow import Float32Array, Float64Array
from trainer.explain.explanation import Explanation

TICKS_HZ = (100, 250, 500, 1000, 2000, 4000, 8000)
_SIZE_INCHES = (15.0, 5.0)
_RESOLUTION_DPI = 110


def write_picture(file: IO[bytes], title: str, explanation: Explanation) -> None:
    """Draw the log spectrogram, the importance map and the bands' contributions side by side, as a PNG.

    All panels share the frequency axis, a mel scale labelled in Hz and kHz. In the map red drives the score up and blue
    speaks for a normal sound.

    Args:
        title: shown as it is; never taken for a formula.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, dpi=_RESOLUTION_DPI, layout="constrained")
    axes = figure.subplots(1, 3, sharey=True, width_ratios=(5, 5, 2.5))
    figure.suptitle(f"{title}: {_scores(explanation)}", parse_math=False)
    _draw_levels(axes[0], explanation)
    _draw_map(axes[1], explanation)
    _draw_bands(axes[2], explanation)
    _label_frequencies(axes[0], explanation)
    figure.savefig(file, format="png")


def tick_label(frequency_hz: float) -> str:
    """A frequency as people write it.

    >>> tick_label(250), tick_label(2000), tick_label(1500)
    ('250 Hz', '2 kHz', '1.5 kHz')
    """
    return f"{frequency_hz:.0f} Hz" if frequency_hz < 1000 else f"{frequency_hz / 1000:g} kHz"


def _scores(explanation: Explanation) -> str:
    parts = ", ".join(f"{name} {value:+.2f}" for name, value in explanation.parts.items())
    return (
        f"anomaly score {explanation.clip_score:.2f} (alarm above {explanation.threshold:.2f}); "
        f"strangest segment {explanation.segment_score:.2f} = {parts}"
    )


def _draw_levels(axis: Any, explanation: Explanation) -> None:
    mesh = _mesh(axis, explanation.times_s, explanation.bands.centre_hz, explanation.levels_db, cmap="magma")
    axis.figure.colorbar(mesh, ax=axis, label="dB relative to the segment's level")
    axis.set(title="log-mel spectrogram", xlabel="time in s", ylabel="frequency")


def _draw_map(axis: Any, explanation: Explanation) -> None:
    found = explanation.importance
    if found is None:
        axis.text(0.5, 0.5, "no image is scored", transform=axis.transAxes, ha="center")
        axis.set(title="importance map", xticks=[])
        return
    limit = float(np.abs(found.importance).max()) or 1.0
    colours: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    mesh = _mesh(axis, explanation.times_s, explanation.image_hz, found.importance, **colours)
    axis.figure.colorbar(mesh, ax=axis, label="importance, in units of the score")
    agreement = f", reliability {found.reliability:.2f}" if np.isfinite(found.reliability) else ""
    axis.set(title=f"importance map ({found.n_masks} masks{agreement})", xlabel="time in s")


def _draw_bands(axis: Any, explanation: Explanation) -> None:
    """Stacked bars, those that raise the score to the right and those that lower it to the left."""
    edges_hz = _edges_hz(explanation.bands.centre_hz)
    ends = {True: np.zeros(len(edges_hz) - 1), False: np.zeros(len(edges_hz) - 1)}
    for number, (name, values) in enumerate(explanation.band_contributions.items()):
        for raises, share in ((True, np.maximum(values, 0.0)), (False, np.minimum(values, 0.0))):
            bars: dict[str, Any] = {"left": ends[raises], "height": np.diff(edges_hz), "align": "edge"}
            axis.barh(edges_hz[:-1], share, color=f"C{number}", label=name if raises else None, **bars)
            ends[raises] = ends[raises] + share
    axis.axvline(0.0, color="black", linewidth=0.5)
    axis.set(title="by band", xlabel="adds to the score")
    if explanation.band_contributions:
        axis.legend(loc="upper right", fontsize="small")


def _mesh(
    axis: Any, times_s: Float64Array, frequencies_hz: Float64Array, values: Float32Array | Float64Array, **colours: Any
) -> Any:
    """An image (n_frames, n_bins) with every value in its place."""
    step_s = times_s[1] - times_s[0] if len(times_s) > 1 else 1.0
    edges_s = np.append(times_s - step_s / 2, times_s[-1] + step_s / 2)
    return axis.pcolormesh(edges_s, _edges_hz(frequencies_hz), values.T, rasterized=True, **colours)


def _edges_hz(centres_hz: Float64Array) -> Float64Array:
    """Borders halfway between neighbours on the mel scale: (n,) -> (n + 1,), not below 0 Hz."""
    mels = hz_to_mel(centres_hz)
    inner = (mels[1:] + mels[:-1]) / 2
    ends = 2 * mels[[0, -1]] - inner[[0, -1]]
    return mel_to_hz(np.maximum(np.concatenate([ends[:1], inner, ends[1:]]), 0.0))


def _label_frequencies(axis: Any, explanation: Explanation) -> None:
    axis.set_yscale("function", functions=(hz_to_mel, mel_to_hz))
    low_hz, high_hz = float(explanation.bands.low_hz[0]), float(explanation.bands.high_hz[-1])
    ticks: Mapping[int, str] = {hz: tick_label(hz) for hz in TICKS_HZ if low_hz <= hz <= high_hz}
    axis.set_yticks(list(ticks), labels=list(ticks.values()))
    axis.set_ylim(low_hz, high_hz)
    axis.minorticks_off()
