"""Runs the rows of one of the thesis's tables on whatever data is given, and sets ours beside the thesis's figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from edged.errors import ConfigError
from trainer.anomaly_recipe import parse_recipe
from trainer.backends.ensemble import summed_scores
from trainer.evaluate.counts import decided
from trainer.evaluate.f1_ev import optimal_threshold
from trainer.evaluate.judged import JudgedSection, mean_figures
from trainer.evaluate.thresholds import thresholds
from trainer.experiment import Experiment
from trainer.judging import Judge
from trainer.recipe_files import Table, TableRow

RowRunner = Callable[[TableRow, int], Mapping[str, float]]
"""(row, seed) -> figures."""

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


@dataclass(frozen=True)
class Overrides:
    """What is changed in every row to fit the data or the time at hand; said in the result's heading."""

    recipe: Mapping[str, object]

    def recipe_of(self, row: TableRow) -> dict[str, object]:
        """The row's fields with the changes, those that the row itself sets excepted where they are its point."""
        return {**row.recipe, **self.recipe}


def reproduce(
    table: Table,
    experiment: Experiment,
    seeds: Sequence[int],
    overrides: Overrides,
    *,
    only: Sequence[str] = (),
    done: Callable[[RowResult], None] = lambda _: None,
) -> list[RowResult]:
    """Every row with every seed; a row that cannot run says why and does not stop the others.

    Args:
        only: names of rows; all when empty.
        done: told of every finished row, so that a long run shows what it has.

    Raises:
        ConfigError: an unknown row, or a table of another kind.
    """
    if table.kind not in {"anomaly", "thresholds"}:
        raise ConfigError(f"{table.name} is of kind '{table.kind}'", fix="see `edged-train reproduce --help`")
    unknown = set(only) - {row.name for row in table.rows}
    if unknown:
        raise ConfigError(f"{table.name} has no row {', '.join(sorted(unknown))}")
    results = []
    for row in table.rows:
        if not only or row.name in only:
            results.append(_run_row(table, row, experiment, seeds, overrides))
            done(results[-1])
            write_results(experiment.directory / f"{table.name}.{RESULTS}", table, results, seeds, overrides)
    return results


def _run_row(
    table: Table, row: TableRow, experiment: Experiment, seeds: Sequence[int], overrides: Overrides
) -> RowResult:
    try:
        judged = [_judged(table, row, experiment, seed, overrides) for seed in seeds]
    except (ConfigError, FloatingPointError) as error:
        return RowResult(row.name, row.label, {}, {}, row.thesis, failure=str(error))
    per_seed = [_figures(table, row, sections) for sections in judged]
    names = [name for name in table.figures if name in per_seed[0]]
    figures = {name: tuple(one[name] for one in per_seed) for name in names}
    ensemble = _figures(table, row, summed(judged)) if len(seeds) > 1 and table.kind == "anomaly" else {}
    return RowResult(row.name, row.label, figures, ensemble, row.thesis)


def _judged(
    table: Table, row: TableRow, experiment: Experiment, seed: int, overrides: Overrides
) -> list[JudgedSection]:
    recipe = parse_recipe(f"{table.name}/{row.name}", dict(overrides.recipe_of(row)))
    embedded = experiment.embedded(recipe, seed)
    if not np.isfinite(embedded.vectors).all():
        raise FloatingPointError("diverged: the embeddings are not finite")
    with_normal_scores = table.kind == "thresholds"
    return Judge(experiment.clips, embedded, row.backend, recipe.classes, with_normal_scores).sections()


def _figures(table: Table, row: TableRow, sections: Sequence[JudgedSection]) -> Mapping[str, float]:
    if table.kind == "thresholds":
        return {"f1": float(np.mean([threshold_f1(section, row.name) for section in sections]))}
    return mean_figures(sections, harmonic=table.harmonic)


def threshold_f1(section: JudgedSection, method: str) -> float:
    """F1 of one section at the threshold that a method (``sd``, ``sd-x2``, ``optimum`` ...) takes from normal scores.

    Raises:
        ConfigError: no such method.
    """
    if method == "optimum":
        threshold = optimal_threshold(section.normal, section.anomalous)
    else:
        name, _, stages = method.partition("-x")
        known = thresholds(section.normal_scores, int(stages or 1))
        if name not in known:
            raise ConfigError(f"no threshold method '{method}'", fix=f"one of {', '.join(known)}, also with -x2")
        threshold = known[name]
    return decided(section.normal, section.anomalous, threshold).f1


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


def write_results(
    path: Path, table: Table, results: Sequence[RowResult], seeds: Sequence[int], overrides: Overrides
) -> None:
    """Everything as JSON, written beside and renamed."""
    content = {
        "table": table.name,
        "title": table.title,
        "seeds": list(seeds),
        "overrides": dict(overrides.recipe),
        "rows": [asdict(result) for result in results],
    }
    beside = path.with_name(f".{path.name}")
    beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


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
