"""The page: one HTML file with everything inside it, a pure function of an `Evaluation`.

File and folder names come from whoever made the recordings. They are escaped by the template, kept out of ids and
addresses, and a policy in the page forbids scripts and anything from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from trainer.evaluate.judged import JudgedSection
from trainer.report import tables
from trainer.report.distribution import distribution
from trainer.report.embedding_plot import MAX_CLIPS, embedding_plot
from trainer.report.evaluation import Evaluation
from trainer.report.figure import shown
from trainer.report.mistakes import Mistake, worst_mistakes
from trainer.report.roc_det import roc_det
from trainer.report.spectrograms import spectrogram_plot
from trainer.report.summary import Summary, SystemSummary, summarise

MAX_DRAWN_SECTIONS = 40
"""Sections with figures; the others stand in the tables."""
_TEMPLATE = Path(__file__).with_name("page.html")


def render_page(evaluation: Evaluation, summary: Summary | None = None) -> str:
    """The whole page as text.

    Args:
        evaluation: what to tell.
        summary: its figures, where they are computed already.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = shown
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(_context(evaluation, summary or summarise(evaluation)))


def _context(evaluation: Evaluation, summary: Summary) -> dict[str, Any]:
    return {
        "evaluation": evaluation,
        "summary": summary,
        "columns": tables.COLUMNS,
        "figure_rows": tables.figure_rows(summary),
        "score_rows": tables.score_rows(summary),
        "control_rows": tables.control_rows(summary),
        "thresholds": [(system.name, *tables.threshold_table(system)) for system in summary.systems],
        "sections": _drawn_sections(summary),
        "n_undrawn": max(0, len(evaluation.section_names) - MAX_DRAWN_SECTIONS),
        "maps": _maps(evaluation),
        "mistakes": [(system.name, _mistakes(evaluation, system, k)) for k, system in enumerate(summary.systems)],
        "listed": tables.listed_rows(evaluation.listed),
        "n_listed": tables.N_LISTED,
        "n_rows": tables.MAX_ROWS,
    }


def _drawn_sections(summary: Summary) -> list[dict[str, Any]]:
    by_name: dict[str, dict[str, JudgedSection]] = {}
    for system in summary.systems:
        for one in system.sections:
            by_name.setdefault(one.section.name, {})[system.name] = one.section
    return [
        {
            "name": name,
            "curves": roc_det(sections, f"roc-{index}"),
            "distributions": list(_distributions(summary, name, index)),
        }
        for index, (name, sections) in enumerate(list(by_name.items())[:MAX_DRAWN_SECTIONS])
    ]


def _distributions(summary: Summary, name: str, index: int) -> list[tuple[str, Markup]]:
    return [
        (system.name, distribution(one, f"scores-{index}-{number}"))
        for number, system in enumerate(summary.systems)
        for one in system.sections
        if one.section.name == name
    ]


def _maps(evaluation: Evaluation) -> list[dict[str, Any]]:
    return [
        {
            "system": name,
            "representation": embeddings.representation,
            "figure": embedding_plot(embeddings, f"map-{index}", evaluation.seed),
            "n_clips": len(embeddings.vectors),
            "n_shown": min(len(embeddings.vectors), MAX_CLIPS),
        }
        for index, (name, embeddings) in enumerate(evaluation.embeddings.items())
    ]


def _mistakes(evaluation: Evaluation, system: SystemSummary, number: int) -> list[Mapping[str, Any]]:
    """The columns "too high" and "too low" of one system."""
    worst = worst_mistakes([one.section for one in system.sections])
    titles = ("Normal clips with the highest scores", "Anomalous clips with the lowest scores")
    return [
        {"title": title, "clips": [_mistake(evaluation, m, f"clip-{number}-{side}-{k}") for k, m in enumerate(found)]}
        for side, (title, found) in enumerate(zip(titles, worst, strict=True))
    ]


def _mistake(evaluation: Evaluation, mistake: Mistake, name: str) -> dict[str, Any]:
    spectrogram = evaluation.spectrograms.get(mistake.path)
    picture = ""
    if spectrogram is not None:
        picture = spectrogram_plot(spectrogram, evaluation.durations_s.get(mistake.path, 0.0), name)
    return {**tables.mistake_row(mistake), "picture": picture}
