"""An explanation as a PNG: the only module that imports Pillow.

title: score, threshold, most similar reference
+-------------------------------+---------+
| spectrogram, red where a cell | bands   |   red raises the score, blue lowers it
| raises the score              |         |
+-------------------------------+---------+
| times                         | parts   |
+-------------------------------+---------+
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from edged.explain.explanation import Explanation
from edged.explain.grid import mel_centres_hz
from edged.flow import Float64Array

_SIZE = (1060, 640)
_MAP = (70, 70, 770, 430)
_BANDS = (790, 70, 1030, 430)
_TIMES = (70, 480, 770, 580)
_PARTS = (790, 480, 1030, 600)
_INK, _FAINT, _RED, _BLUE = (30, 30, 30), (200, 200, 200), (200, 30, 30), (40, 80, 200)
_TICKS_HZ = (100, 200, 500, 1000, 2000, 4000, 8000)
_RANGE_DB = 45.0

_Box = tuple[int, int, int, int]


def png(found: Explanation, title: str) -> bytes:
    """Draw it.

    Args:
        title: what was explained: an event, or a file.
    """
    image = Image.new("RGB", _SIZE, (255, 255, 255))
    image.paste(_map_image(found), _MAP[:2])
    canvas = _Canvas(ImageDraw.Draw(image), ImageFont.load_default(13))
    _draw_title(canvas, found, title)
    _draw_axes(canvas, found)
    _draw_bands(canvas, found)
    _draw_times(canvas, found)
    _draw_parts(canvas, found)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


@dataclass(frozen=True)
class _Canvas:
    draw: ImageDraw.ImageDraw
    font: Any

    def text(self, x: float, y: float, text: str, anchor: str = "lt") -> None:
        self.draw.text((x, y), text, fill=_INK, font=self.font, anchor=anchor)

    def bar(self, box: tuple[float, float, float, float], value: float) -> None:
        """A filled box, red for what raises the score."""
        x0, y0, x1, y1 = box
        corners = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        self.draw.rectangle(corners, fill=_RED if value > 0 else _BLUE)

    def frame(self, box: _Box) -> None:
        self.draw.rectangle(box, outline=_INK)


def _map_image(found: Explanation) -> Image.Image:
    """The spectrogram in grey, tinted by what its cells add; low frequencies at the bottom, mel scale."""
    levels = found.bands_db.T[::-1]  # (n_mels, n_frames)
    grey = np.clip((levels - levels.max() + _RANGE_DB) / _RANGE_DB, 0.0, 1.0)
    adds = found.importance.adds[np.ix_(found.grid.slice_of_frame, found.grid.group_of_band)].T[::-1]
    strength = np.clip(np.abs(adds) / max(float(np.abs(adds).max()), 1e-9), 0.0, 1.0)[..., np.newaxis] * 0.6
    tint = np.where((adds > 0)[..., np.newaxis], np.array(_RED), np.array(_BLUE))
    shown = (1.0 - strength) * (255.0 * (1.0 - grey))[..., np.newaxis] + strength * tint
    size = (_MAP[2] - _MAP[0], _MAP[3] - _MAP[1])
    return Image.fromarray(shown.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)


def _draw_title(canvas: _Canvas, found: Explanation, title: str) -> None:
    nearest = found.nearest
    canvas.text(_MAP[0], 10, f"{title}: score {found.score:.2f}, threshold {found.threshold:.2f}")
    like = f"most like {nearest['clip']} ({nearest['domain']}, enrolled {nearest['enrolled_at']})"
    canvas.text(_MAP[0], 30, like)
    canvas.text(_MAP[0], 50, "spectrogram; red = raises the score, blue = lowers it")
    canvas.text(_BANDS[0], 50, "bands")


def _draw_axes(canvas: _Canvas, found: Explanation) -> None:
    canvas.frame(_MAP)
    for frequency_hz in _TICKS_HZ:
        y = _height_of(found, frequency_hz)
        canvas.draw.line((_MAP[0] - 5, y, _MAP[0], y), fill=_INK)
        canvas.text(_MAP[0] - 8, y, f"{frequency_hz}", "rm")
    canvas.text(8, _MAP[1] - 14, "Hz")
    edges = found.start_s + found.grid.time_edges_s
    for second in np.arange(np.ceil(edges[0]), edges[-1] + 1e-9, max(1.0, np.ceil((edges[-1] - edges[0]) / 12))):
        x = _MAP[0] + (second - edges[0]) / (edges[-1] - edges[0]) * (_MAP[2] - _MAP[0])
        canvas.draw.line((x, _MAP[3], x, _MAP[3] + 5), fill=_INK)
        canvas.text(x, _MAP[3] + 8, f"{second:g}", "mt")
    canvas.text(_MAP[2] + 10, _MAP[3] - 6, "s")


def _height_of(found: Explanation, frequency_hz: float) -> float:
    """Where a frequency lies on the map's axis of mel bands."""
    centres = mel_centres_hz(found.grid.spec)
    place = float(np.interp(frequency_hz, centres, np.arange(len(centres)) + 0.5))
    return _MAP[3] - place / len(centres) * (_MAP[3] - _MAP[1])


def _draw_bands(canvas: _Canvas, found: Explanation) -> None:
    """A bar to the right for what raises the score, to the left for what lowers it."""
    adds = found.importance.adds.sum(axis=0)
    zero, per_unit = _scale(adds, _BANDS[0], _BANDS[2])
    first = np.searchsorted(found.grid.group_of_band, np.arange(len(adds) + 1)) / found.grid.spec.n_mels
    tops = _MAP[3] - first * (_MAP[3] - _MAP[1])
    for value, low, high in zip(adds, tops, tops[1:], strict=False):
        canvas.bar((zero, low - 2, zero + value * per_unit, high + 2), value)
    canvas.draw.line((zero, _BANDS[1], zero, _BANDS[3]), fill=_INK)
    canvas.text(_BANDS[0], _BANDS[3] + 8, f"{min(adds.min(), 0):.1f}")
    canvas.text(_BANDS[2], _BANDS[3] + 8, f"{max(adds.max(), 0):.1f}", "rt")


def _draw_times(canvas: _Canvas, found: Explanation) -> None:
    adds = found.importance.adds.sum(axis=1)
    zero, per_unit = _scale(adds, _TIMES[3], _TIMES[1])
    edges = found.grid.time_edges_s / found.grid.time_edges_s[-1] * (_TIMES[2] - _TIMES[0]) + _TIMES[0]
    for value, left, right in zip(adds, edges, edges[1:], strict=False):
        canvas.bar((left + 2, zero, right - 2, zero + value * per_unit), value)
    canvas.draw.line((_TIMES[0], zero, _TIMES[2], zero), fill=_INK)
    canvas.text(_TIMES[0], _TIMES[1] - 18, "times")
    canvas.text(_TIMES[0] - 8, _TIMES[1], f"{max(adds.max(), 0):.1f}", "rt")


def _draw_parts(canvas: _Canvas, found: Explanation) -> None:
    values = np.array(list(found.parts.values()))
    zero, per_unit = _scale(values, _PARTS[0] + 90, _PARTS[2] - 40)
    canvas.text(_PARTS[0], _PARTS[1] - 18, "parts of the score")
    for row, (name, value) in enumerate(found.parts.items()):
        y = _PARTS[1] + row * min(22, (_PARTS[3] - _PARTS[1]) / len(values))
        canvas.text(_PARTS[0], y, name[:12])
        canvas.bar((zero, y, zero + value * per_unit, y + 14), value)
        canvas.text(_PARTS[2], y, f"{value:.2f}", "rt")
    canvas.draw.line((zero, _PARTS[1], zero, _PARTS[3]), fill=_FAINT)


def _scale(values: Float64Array, low: float, high: float) -> tuple[float, float]:
    """Where zero lies, and pixels per unit, so that all values fit between two ends."""
    smallest, largest = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    per_unit = (high - low) / max(largest - smallest, 1e-9)
    return low - smallest * per_unit, per_unit
