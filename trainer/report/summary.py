"""All figures of an evaluation, computed once for the page and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edged.score.references import SOURCE
from trainer.evaluate import domains
from trainer.evaluate.auc import Interval
from trainer.evaluate.judged import JudgedSection, mean_figures, section_figures
from trainer.evaluate.roc import roc_auc
from trainer.report.doubts import doubts
from trainer.report.evaluation import Evaluation
from trainer.report.intervals import mean_draws, section_draws, with_intervals
from trainer.report.threshold_table import Decision, ThresholdRow, section_decisions, threshold_rows


@dataclass(frozen=True)
class SectionSummary:
    """One section under one system.

    Attributes:
        section: what was judged.
        figures: figure -> value and interval.
        decisions: threshold method -> what it decides.
        level_auc: AUC of loudness alone; None where the levels are not known.
    """

    section: JudgedSection
    figures: Mapping[str, Interval]
    decisions: dict[str, Decision]
    level_auc: float | None


@dataclass(frozen=True)
class SystemSummary:
    """One system.

    Attributes:
        name: of the system.
        sections: in the order they were judged.
        means: figure -> mean over the sections: harmonic for AUC and pAUC, arithmetic for the others.
        thesis_score: harmonic mean of AUC and pAUC over all sections (5.2.1).
        dcase_score: harmonic mean of both domains' AUC and of the pAUC; None unless every section has both domains.
        threshold_rows: Table 10.
    """

    name: str
    sections: tuple[SectionSummary, ...]
    means: Mapping[str, Interval]
    thesis_score: float
    dcase_score: float | None
    threshold_rows: tuple[ThresholdRow, ...]


@dataclass(frozen=True)
class Summary:
    """Every system that judged a section, and what speaks against reading too much into the figures."""

    systems: tuple[SystemSummary, ...]
    doubts: tuple[str, ...]


def summarise(evaluation: Evaluation) -> Summary:
    """All figures; deterministic for the evaluation's seed."""
    order = {name: index for index, name in enumerate(evaluation.section_names)}
    systems = tuple(
        _system(name, sections, evaluation, order) for name, sections in evaluation.systems.items() if sections
    )
    levels = {s.section.name: s.level_auc for system in systems for s in system.sections if s.level_auc is not None}
    sections = {s.section.name: s.section for system in systems for s in system.sections}
    return Summary(systems, tuple(doubts(list(sections.values()), levels)))


def level_auc(section: JudgedSection, levels_dbfs: Mapping[Path, float]) -> float | None:
    """AUC of the recordings' loudness; below 0.5 the anomalies are the quiet ones."""
    if not all(path in levels_dbfs for path in section.paths):
        return None
    levels = np.array([levels_dbfs[path] for path in section.paths])
    return roc_auc(levels[~section.is_anomalous], levels[section.is_anomalous])


def summary_fields(evaluation: Evaluation, summary: Summary) -> dict[str, Any]:
    """The figures as `edged-train evaluate --json` prints them."""
    listed = {
        section.name: {
            "clips": len(section.clips),
            "scores": dict(zip(section.clip_names, map(float, section.scores), strict=True)),
        }
        for section in evaluation.listed
    }
    return {
        "title": evaluation.title,
        "facts": dict(evaluation.facts),
        "warnings": list(summary.doubts),
        "notes": list(evaluation.notes),
        "systems": {system.name: _system_fields(system) for system in summary.systems},
        "listed": listed,
    }


def _system(
    name: str, sections: Sequence[JudgedSection], evaluation: Evaluation, order: Mapping[str, int]
) -> SystemSummary:
    drawn = [section_draws(section, (evaluation.seed, order[section.name])) for section in sections]
    figures = [with_intervals(section_figures(s), d) for s, d in zip(sections, drawn, strict=True)]
    summaries = tuple(
        SectionSummary(section, own, section_decisions(section), level_auc(section, evaluation.levels_dbfs))
        for section, own in zip(sections, figures, strict=True)
    )
    return SystemSummary(
        name=name,
        sections=summaries,
        means=with_intervals(mean_figures(sections), mean_draws(drawn)),
        thesis_score=domains.harmonic_mean(f[key].value for f in figures for key in ("auc", "partial_auc")),
        dcase_score=_dcase_score(sections),
        threshold_rows=tuple(threshold_rows([(s.section.machine, s.decisions) for s in summaries])),
    )


def _dcase_score(sections: Sequence[JudgedSection]) -> float | None:
    kinds = [{d == SOURCE for d, a in zip(s.domains, s.is_anomalous, strict=True) if not a} for s in sections]
    if any(len(kind) < 2 for kind in kinds):
        return None
    return domains.dcase_score([domains.section_figures(s.scores, s.is_anomalous, s.domains) for s in sections])


def _system_fields(system: SystemSummary) -> dict[str, Any]:
    return {
        "sections": {summary.section.name: _section_fields(summary) for summary in system.sections},
        "means": {name: asdict(interval) for name, interval in system.means.items()},
        "thesis_score": system.thesis_score,
        "dcase_score": system.dcase_score,
        "thresholds": {row.method: asdict(row) for row in system.threshold_rows},
    }


def _section_fields(summary: SectionSummary) -> dict[str, Any]:
    return {
        "normal_clips": len(summary.section.normal),
        "anomalous_clips": len(summary.section.anomalous),
        "figures": {name: asdict(interval) for name, interval in summary.figures.items()},
        "level_auc": summary.level_auc,
        "thresholds": {name: asdict(decision) for name, decision in summary.decisions.items()},
    }
