"""What one system's scores of one section look like: histogram, thresholds, F1."""

from __future__ import annotations

from markupsafe import Markup

from trainer.report.f1_curve import draw_f1
from trainer.report.figure import as_svg, drawing
from trainer.report.histograms import draw_histogram, draw_thresholds
from trainer.report.summary import SectionSummary


def distribution(summary: SectionSummary, name: str) -> Markup:
    """The figure, for the page; `name` is the figure's."""
    n_rows = len(summary.decisions)
    height_in = 2.9 + 0.13 * n_rows
    margins = {"left": 0.08, "right": 0.99, "bottom": 0.48 / height_in, "top": 1.0 - 0.3 / height_in}
    with drawing(10.5, height_in, **margins, wspace=0.12, hspace=0.06) as figure:
        grid = figure.add_gridspec(2, 2, height_ratios=[2.2, 0.13 * n_rows + 0.3], width_ratios=[1.25, 1.0])
        histogram = figure.add_subplot(grid[0, 0])
        rows = figure.add_subplot(grid[1, 0], sharex=histogram)
        draw_histogram(histogram, summary.section)
        draw_thresholds(rows, summary.decisions)
        histogram.tick_params(labelbottom=False)
        draw_f1(figure.add_subplot(grid[:, 1]), summary.section)
        return as_svg(figure, name, "histogram of scores, thresholds, and F1 over the threshold")
