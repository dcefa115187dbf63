"""The map of the embeddings, coloured by what the clips are (thesis 5.4.2, Figure 23)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from edged.flow import Float64Array
from trainer.evaluate.bundle import Embeddings
from trainer.explain.embedding_map import embedding_map
from trainer.report.figure import ANOMALOUS, NORMAL, PALETTE, UNKNOWN, as_svg, drawing, shown

MAX_CLIPS = 2000
"""Of more clips a random choice is mapped: t-SNE takes seconds then, and a map of more is a blot."""
NAME_COLOURS = (*PALETTE[2:7], *PALETTE[:2])
"""Not those of normal and anomalous clips, as long as there are others."""
_CONDITIONS = {"normal": NORMAL, "anomaly": ANOMALOUS, "unknown": UNKNOWN}


def embedding_plot(embeddings: Embeddings, name: str, seed: int = 0) -> Markup:
    """The map, for the page: by condition, and by domain and section where there are several.

    Args:
        embeddings: of the test clips.
        name: of the figure in the page.
        seed: of the choice and the map.
    """
    chosen = chosen_clips(len(embeddings.vectors), seed)
    points = embedding_map(embeddings.vectors[chosen], seed=seed)
    views = _views(embeddings)
    with drawing(3.5 * len(views), 3.9, left=0.02, right=0.98, bottom=0.16, top=0.92, wspace=0.06) as figure:
        panels = np.atleast_1d(figure.subplots(1, max(len(views), 1)))
        for axes, (title, (labels, colours)) in zip(panels, views.items(), strict=True):
            _scatter(axes, points, [labels[index] for index in chosen], colours)
            axes.set_title(title)
        return as_svg(figure, name, "map of the embeddings")


def chosen_clips(n: int, seed: int) -> NDArray[np.int64]:
    """Indices of the clips on the map, ascending: all of them, or `MAX_CLIPS` at random."""
    if n <= MAX_CLIPS:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, MAX_CLIPS, replace=False))


def _views(embeddings: Embeddings) -> dict[str, tuple[Sequence[str], Mapping[str, str]]]:
    views: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {"condition": (embeddings.conditions, _CONDITIONS)}
    for title, labels in (("domain", embeddings.domains), ("section", embeddings.sections)):
        if len(set(labels)) > 1:
            views[title] = _coloured(labels)
    return views


def _coloured(labels: Sequence[str]) -> tuple[Sequence[str], Mapping[str, str]]:
    """A colour for each name, and one for all beyond the first few."""
    names = sorted(set(labels))
    colours = dict(zip(names, NAME_COLOURS, strict=False))
    if len(names) > len(colours):
        colours |= {"others": UNKNOWN}
    return [label if label in colours else "others" for label in labels], colours


def _scatter(axes: Any, points: Float64Array, labels: Sequence[str], colours: Mapping[str, str]) -> None:
    order = np.array(labels)
    for label, colour in colours.items():
        own = points[order == label]
        if len(own):
            axes.scatter(*own.T, s=14, color=colour, alpha=0.75, linewidths=0, label=" " + shown(label)[:24])
    for collection in axes.collections:
        collection.set_rasterized(len(points) > 500)
    axes.set(xticks=[], yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=2, fontsize=7, handletextpad=0.2)
