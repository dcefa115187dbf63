"""The tables of the page as rows of text; the template only sets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.evaluate.auc import Interval
from trainer.evaluate.bundle import SectionScores
from trainer.report.figure import shown
from trainer.report.mistakes import Mistake
from trainer.report.summary import Summary, SystemSummary
from trainer.report.threshold_table import OPTIMUM, method_label

COLUMNS = {
    "auc": "AUC",
    "partial_auc": "pAUC",
    "eer": "EER",
    "f1_ev": "F1-EV",
    "bounded_f1_ev": "bounded F1-EV",
}
DOMAINS = {"": "both", "source_": "source", "target_": "target"}
MEAN = "mean of sections"
N_LISTED = 30
"""Clips that are shown of a section without figures."""
MAX_ROWS = 200


@dataclass(frozen=True)
class Cell:
    """A value, its interval below it, and whether it is the best of its column."""

    value: str
    interval: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class Row:
    """One line: what it is about and its cells."""

    heads: tuple[str, ...]
    cells: tuple[Cell, ...]
    is_mean: bool = False


EMPTY = Cell("")


def figure_rows(summary: Summary) -> list[Row]:
    """One row per section and domain, with the columns of every system side by side; the means come first."""
    sections: dict[str, list[Mapping[str, Interval]]] = {}
    for index, system in enumerate(summary.systems):
        for one in system.sections:
            sections.setdefault(one.section.name, [{} for _ in summary.systems])[index] = one.figures
    rows = []
    if len(sections) > 1:
        rows += _rows_of(MEAN, "", [system.means for system in summary.systems], is_mean=True)
    sizes = _sizes(summary)
    for name, figures in list(sections.items())[:MAX_ROWS]:
        rows += _rows_of(shown(name), sizes[name], figures)
    return rows


def score_rows(summary: Summary) -> list[Row]:
    """The systems' overall scores."""
    rows: list[tuple[str, list[float | None]]] = [("thesis score", [system.thesis_score for system in summary.systems])]
    official = [system.dcase_score for system in summary.systems]
    if any(score is not None for score in official):
        rows.append(("DCASE score", official))
    return [Row((name,), tuple(EMPTY if v is None else Cell(f"{v:.3f}") for v in values)) for name, values in rows]


def control_rows(summary: Summary) -> list[Row]:
    """AUC of loudness alone beside every system's, section by section."""
    levels = {s.section.name: s.level_auc for system in summary.systems for s in system.sections}
    aucs = [{s.section.name: s.figures["auc"].value for s in system.sections} for system in summary.systems]
    return [
        Row((shown(name),), tuple(_number(value) for value in (level, *(auc.get(name) for auc in aucs))))
        for name, level in list(levels.items())[:MAX_ROWS]
        if level is not None
    ]


def threshold_table(system: SystemSummary) -> tuple[list[str], list[Row]]:
    """Columns and rows of Table 10; the best F1 of each column is marked, without the optimum."""
    machines = list(system.threshold_rows[0].f1_by_machine) if system.threshold_rows else []
    values = np.array([[*row.f1_by_machine.values(), row.f1] for row in system.threshold_rows])  # (n_methods, n + 1)
    rest = np.array([[row.precision, row.recall, row.false_alarm_rate] for row in system.threshold_rows])
    best = values[:-1].max(axis=0) if len(values) > 1 else np.full(len(machines) + 1, np.inf)
    rows = [
        Row(
            (method_label(row.method),),
            tuple(
                Cell(f"{v:.3f}", is_best=bool(np.isclose(v, b)) and row.method != OPTIMUM)
                for v, b in zip(own, best, strict=True)
            )
            + tuple(Cell(f"{v:.3f}") for v in others),
        )
        for row, own, others in zip(system.threshold_rows, values, rest, strict=True)
    ]
    return [shown(machine) for machine in machines], rows


def mistake_row(mistake: Mistake) -> dict[str, str]:
    """What is said about one clip."""
    other = "anomalous" if not mistake.is_anomalous else "normal"
    side = "below" if not mistake.is_anomalous else "above"
    return {
        "file": shown(mistake.path.name),
        "section": shown(mistake.section),
        "score": f"{mistake.anomaly_score:.2f}",
        "confusion": f"{mistake.confusion:.0%} of the {other} clips score {side} it",
    }


def listed_rows(sections: Sequence[SectionScores]) -> list[dict[str, object]]:
    """Sections without figures: how many clips, the range of scores, and the highest ones."""
    result: list[dict[str, object]] = []
    for section in sections[:MAX_ROWS]:
        order, names = np.argsort(-section.scores, kind="stable")[:N_LISTED], section.clip_names
        low, median, high = np.percentile(section.scores, [0.0, 50.0, 100.0])
        result.append(
            {
                "name": shown(section.name),
                "n": len(section.clips),
                "kinds": ", ".join(sorted({clip.condition for clip in section.clips})),
                "range": f"{low:.2f} to {high:.2f}, median {median:.2f}",
                "clips": [(shown(names[index]), f"{section.scores[index]:.2f}") for index in order],
            }
        )
    return result


def _rows_of(name: str, size: str, figures: Sequence[Mapping[str, Interval]], *, is_mean: bool = False) -> list[Row]:
    """One row for both domains, and one for each where they differ."""
    rows = []
    for prefix, domain in DOMAINS.items():
        cells = tuple(_interval(one.get(prefix + column)) for one in figures for column in COLUMNS)
        if not prefix or (_has_target(figures) and any(cell.value for cell in cells)):
            rows.append(Row((name if not prefix else "", size if not prefix else "", domain), cells, is_mean))
    return rows


def _has_target(figures: Sequence[Mapping[str, Interval]]) -> bool:
    return any("target_auc" in one for one in figures)


def _sizes(summary: Summary) -> dict[str, str]:
    return {
        s.section.name: f"{len(s.section.normal)} + {len(s.section.anomalous)}"
        for system in summary.systems
        for s in system.sections
    }


def _interval(interval: Interval | None) -> Cell:
    if interval is None:
        return EMPTY
    return Cell(f"{interval.value:.3f}", f"{interval.low:.2f}–{interval.high:.2f}")


def _number(value: float | None) -> Cell:
    return EMPTY if value is None else Cell(f"{value:.3f}")
