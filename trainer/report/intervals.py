"""Bootstrap intervals over clips for all figures of a section and their means over sections.

Normal and anomalous clips of either domain are drawn again separately, so that every draw has all figures. Sections are
drawn independently of each other, and the same clips of two systems in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array
from edged.score.references import SOURCE
from trainer.evaluate.auc import Interval
from trainer.evaluate.judged import FIGURES, JudgedSection
from trainer.report.drawn_figures import Draws, drawn_figures, ranking_figures

N_DRAWS = 1000
MAX_CELLS = 1 << 20
"""Draws times clips that are worked on at once: some 100 MiB."""

DrawnFigures = Mapping[str, Float64Array]
"""Figure -> its value in each draw."""


def section_draws(section: JudgedSection, seed: tuple[int, ...], n_draws: int = N_DRAWS) -> DrawnFigures:
    """What `section_figures` gives, for every draw.

    Args:
        section: with normal and anomalous clips.
        seed: the same seed draws the same clips.
        n_draws: bootstrap draws.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, MAX_CELLS // len(section.scores))
    parts = [
        _figures_of(section, drawn_counts(section, min(at_once, n_draws - start), rng))
        for start in range(0, n_draws, at_once)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def drawn_counts(section: JudgedSection, n_draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How often each draw holds each clip: int (n_draws, n)."""
    counts = np.zeros((n_draws, len(section.scores)), np.int64)
    in_source = _in_source(section)
    for is_anomalous in (False, True):
        for is_source in (False, True):
            (chosen,) = np.nonzero((section.is_anomalous == is_anomalous) & (in_source == is_source))
            if len(chosen):
                counts[:, chosen] = rng.multinomial(len(chosen), np.full(len(chosen), 1.0 / len(chosen)), n_draws)
    return counts


def mean_draws(sections: Sequence[DrawnFigures]) -> DrawnFigures:
    """What `mean_figures` gives, for every draw: harmonic means of the figures of ranking, else arithmetic ones."""
    names = dict.fromkeys(name for one in sections for name in one)
    result = {}
    for name in names:
        values = np.stack([one[name] for one in sections if name in one])
        result[name] = _harmonic(values) if name in FIGURES else values.mean(axis=0)
    return result


def with_intervals(values: Mapping[str, float], drawn: DrawnFigures) -> dict[str, Interval]:
    """Each figure with its 95 % percentile interval."""
    ends = {name: np.percentile(drawn[name], [2.5, 97.5]) for name in values}
    return {name: Interval(value, float(ends[name][0]), float(ends[name][1])) for name, value in values.items()}


def _figures_of(section: JudgedSection, counts: NDArray[np.int64]) -> dict[str, Float64Array]:
    result = drawn_figures(Draws.of(section.scores, section.is_anomalous, counts))
    in_source = _in_source(section)
    for domain, chosen in (("source", in_source), ("target", ~in_source)):
        if set(section.is_anomalous[chosen].tolist()) == {False, True}:
            draws = Draws.of(section.scores[chosen], section.is_anomalous[chosen], counts[:, chosen])
            result |= {f"{domain}_{name}": values for name, values in ranking_figures(draws).items()}
    return result


def _in_source(section: JudgedSection) -> NDArray[np.bool_]:
    return np.array([domain == SOURCE for domain in section.domains], bool)


def _harmonic(values: Float64Array) -> Float64Array:
    """Over the first axis; 0 where any is 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / np.mean(1.0 / values, axis=0), np.float64)
