"""How figures look and how they become part of the page: SVG whose ink has the colour of the text around it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

INK = "#010203"
"""Stands for the colour of the page's text, which is another in dark and in light."""
NORMAL, ANOMALOUS, UNKNOWN = "#3d8bd4", "#e2662c", "#8a8a8a"
PALETTE = ("#3d8bd4", "#e2662c", "#2f9e6e", "#b866c9", "#c9a227", "#d4547e", "#5fa8a3", "#8a8a8a")
"""Legible on white and on near-black, and told apart without red and green alone."""
MAX_POINTS = 400
"""Corners drawn of one curve; a screen shows no more."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "edged",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.alpha": 0.25,
    "grid.color": "#888888",
    "axes.grid": True,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def drawing(width_in: float, height_in: float, **margins: float) -> Iterator[Any]:
    """A figure in the page's style, without a window system and without global state.

    Args:
        width_in: in inches, as `height_in`.
        height_in: of the whole figure.
        margins: of `Figure.subplots_adjust`; to let matplotlib find them takes as long as all the drawing.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in))
        figure.subplots_adjust(**margins)
        yield figure


def as_svg(figure: Any, name: str, description: str) -> Markup:
    """The figure for the page, inside the `drawing` block.

    Names within the SVG get the figure's own prefix, so that many of them stand in one page; addresses of name spaces,
    which HTML does not need, go.

    Args:
        figure: of matplotlib.
        name: letters, digits and hyphens, unique in the page.
        description: for those who cannot see it.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace(INK, "currentColor")
    label = Markup('<svg role="img" aria-label="{}"').format(description)
    return Markup(text.replace("<svg", label, 1))  # noqa: S704 - matplotlib escapes what it writes


def thinned(*curves: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """At most `MAX_POINTS` corners of curves of one length, both ends included."""
    n = len(curves[0])
    kept = np.unique(np.linspace(0, n - 1, min(n, MAX_POINTS)).round().astype(int))
    return tuple(curve[kept] for curve in curves)


def shown(text: object) -> str:
    r"""A name for the page: what no text file can hold becomes a question mark.

    >>> shown("caf\udce9.wav"), shown("a\x07b")
    ('caf?.wav', 'a?b')
    """
    valid = str(text).encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "?" for c in valid)
