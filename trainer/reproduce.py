"""Runs the rows of one of the thesis's tables on whatever data is given, and sets ours beside the thesis's figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from edged.errors import ConfigError, EnrolmentError
from trainer.anomaly_recipe import AnomalyRecipe, parse_recipe
from trainer.backends.ensemble import summed_scores
from trainer.evaluate.counts import decided
from trainer.evaluate.f1_ev import f1_scores
from trainer.evaluate.judged import JudgedSection, mean_figures
from trainer.evaluate.thresholds import thresholds
from trainer.experiment import Experiment
from trainer.files import write_whole
from trainer.judging import Judge, judgeable_sections, require_fitting
from trainer.recipe_files import Table, TableRow

RESULTS = "results.json"


@dataclass(frozen=True)
class RowResult:
    """Figures of one row, in [0, 1].

    Attributes:
        name: of the row.
        label: for people.
        figures: figure -> one value per seed.
        ensemble: figures of the sum of the seeds' scores (thesis 5.8); empty for one seed.
        thesis: column -> (mean, deviation) in percent.
        failure: why there are none, in words.
    """

    name: str
    label: str
    figures: Mapping[str, tuple[float, ...]]
    ensemble: Mapping[str, float]
    thesis: Mapping[str, tuple[float, float]]
    failure: str = ""


RunRow = Callable[[TableRow, Mapping[str, object]], RowResult]
"""Runs one row with a recipe's fields, with every seed."""


def reproduce(
    table: Table,
    run_row: RunRow,
    directory: Path,
    changes: Mapping[str, object],
    *,
    only: Sequence[str] = (),
    done: Callable[[RowResult], None] = lambda _: None,
) -> list[RowResult]:
    """Every row; one that cannot run says why and does not stop the others.

    Args:
        run_row: of the table's kind, see `AnomalyRows`.
        directory: `TABLE.results.json` is written there after every row.
        changes: recipe fields that are changed in every row to fit the data or the time at hand.
        only: names of rows; all when empty.
        done: told of every finished row, so that a long run shows what it has.

    Raises:
        ConfigError: an unknown row.
    """
    unknown = set(only) - {row.name for row in table.rows}
    if unknown:
        raise ConfigError(f"{table.name} has no row {', '.join(sorted(unknown))}")
    results: list[RowResult] = []
    for row in table.rows:
        if only and row.name not in only:
            continue
        try:
            results.append(run_row(row, {**row.recipe, **changes}))
        except (ConfigError, EnrolmentError, FloatingPointError) as error:
            results.append(RowResult(row.name, row.label, {}, {}, row.thesis, failure=str(error)))
        done(results[-1])
        write_results(directory / f"{table.name}.{RESULTS}", table, results, changes)
    return results


@dataclass(frozen=True)
class AnomalyRows:
    """Runs rows of the kinds ``anomaly`` and ``thresholds``."""

    table: Table
    experiment: Experiment
    seeds: Sequence[int]

    def __call__(self, row: TableRow, fields: Mapping[str, object]) -> RowResult:
        """See `RunRow`."""
        recipe = parse_recipe(f"{self.table.name}/{row.name}", dict(fields))
        require_fitting(recipe, str(row.backend["name"]))
        judgeable_sections(self.experiment.clips)  # before hours of training
        judged = [self._judged(row, recipe, seed) for seed in self.seeds]
        per_seed = [self._figures(row, sections) for sections in judged]
        names = [name for name in self.table.figures if name in per_seed[0]]
        figures = {name: tuple(one[name] for one in per_seed) for name in names}
        is_ensemble = len(judged) > 1 and self.table.kind == "anomaly"
        ensemble = self._figures(row, summed(judged)) if is_ensemble else {}
        return RowResult(row.name, row.label, figures, ensemble, row.thesis)

    def _judged(self, row: TableRow, recipe: AnomalyRecipe, seed: int) -> list[JudgedSection]:
        embedded = self.experiment.embedded(recipe, seed)
        if not np.isfinite(embedded.vectors).all():
            raise FloatingPointError("diverged: the embeddings are not finite")
        with_normal_scores = self.table.kind == "thresholds"
        return Judge(self.experiment.clips, embedded, row.backend, recipe.classes, with_normal_scores).sections()

    def _figures(self, row: TableRow, sections: Sequence[JudgedSection]) -> Mapping[str, float]:
        if self.table.kind == "thresholds":
            return {"f1": machine_mean([(section.machine, threshold_f1(section, row.name)) for section in sections])}
        return mean_figures(sections, harmonic=self.table.harmonic)


def machine_mean(values: Sequence[tuple[str, float]]) -> float:
    """Mean over the machines of the mean over each one's sections (Tables 10 and 11).

    >>> machine_mean([("fan", 0.0), ("fan", 1.0), ("pump", 1.0)])
    0.75
    """
    machines = sorted({machine for machine, _ in values})
    return float(np.mean([np.mean([value for machine, value in values if machine == name]) for name in machines]))


def threshold_f1(section: JudgedSection, method: str) -> float:
    """F1 of one section at the threshold that a method (``sd``, ``sd-x2``, ``optimum`` ...) takes from normal scores.

    Raises:
        ConfigError: no such method.
    """
    if method == "optimum":
        return float(f1_scores(section.normal, section.anomalous, np.r_[-np.inf, section.scores]).max())
    name, _, stages = method.partition("-x")
    known = thresholds(section.normal_scores, int(stages or 1))
    if name not in known:
        raise ConfigError(f"no threshold method '{method}'", fix=f"one of {', '.join(known)}, also with -x2")
    return decided(section.normal, section.anomalous, known[name]).f1


def summed(systems: Sequence[Sequence[JudgedSection]]) -> list[JudgedSection]:
    """The ensemble of systems: per section the sum of their scores (thesis 3.4.7, 5.8)."""
    return [
        replace(
            sections[0],
            scores=summed_scores([section.scores for section in sections]),
            normal_scores=np.empty(0),
        )
        for sections in zip(*systems, strict=True)
    ]


def write_results(path: Path, table: Table, results: Sequence[RowResult], changes: Mapping[str, object]) -> None:
    """Everything as JSON."""
    rows = [as_json(result) for result in results]
    content = {"table": table.name, "title": table.title, "changes": dict(changes), "rows": rows}
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def as_json(result: RowResult) -> dict[str, object]:
    """A row as any reader of JSON takes it: a deviation that the thesis does not print is null, not NaN."""
    thesis = {name: [mean, None if np.isnan(std) else std] for name, (mean, std) in result.thesis.items()}
    return asdict(result) | {"thesis": thesis}


def markdown(table: Table, results: Sequence[RowResult]) -> str:
    """Ours (mean and deviation over the seeds, in percent) beside the thesis's figures."""
    columns = [name for name in table.figures if any(name in result.figures for result in results)]
    thesis = list(dict.fromkeys(column for result in results for column in result.thesis))
    has_ensemble = any(result.ensemble for result in results)
    ours = [TITLES.get(name, name) for name in columns] + (["sum of seeds, AUC"] if has_ensemble else [])
    head = ["system", *ours, *(f"thesis: {column}" for column in thesis)]
    lines = [_line(head), "|---|" + "---:|" * (len(head) - 1)]
    for result in results:
        own = [_percent(result.figures.get(name, ())) for name in columns]
        if has_ensemble:
            own.append(_percent((result.ensemble["auc"],)) if result.ensemble else "")
        lines.append(_line([result.label, *own, *(_printed(result.thesis.get(column)) for column in thesis)]))
        if result.failure:
            lines[-1] = _line([f"{result.label}: {result.failure}", *[""] * (len(head) - 1)])
    return "\n".join(lines)


TITLES = {
    "auc": "AUC",
    "partial_auc": "pAUC",
    "f1_ev": "F1-EV",
    "bounded_f1_ev": "bounded F1-EV",
    "source_auc": "AUC source",
    "target_auc": "AUC target",
    "f1": "F1",
    "eer": "EER",
}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = f"{100.0 * float(np.mean(values)):.1f}"
    return f"{mean} ± {100.0 * float(np.std(values, ddof=1)):.1f}" if len(values) > 1 else mean


def _printed(value: tuple[float, float] | None) -> str:
    if value is None:
        return ""
    mean, deviation = value
    return f"{mean:.1f}" if np.isnan(deviation) else f"{mean:.1f} ± {deviation:.1f}"
