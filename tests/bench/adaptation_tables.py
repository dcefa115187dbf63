"""The tables of the adaptation study."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np

import edged
from edged.score.choices import SCORINGS


class Result(Protocol):
    """What a table is made of; see `adaptation.Result`."""

    site: str
    kind: str
    seed: int
    scoring: str
    n_target: int
    figures: dict[str, float]


Key = Callable[[Result], bool]


def tables(results: Sequence[Result], label: str, budget_per_day: float) -> str:
    """Markdown."""
    names = ("default", *SCORINGS)
    numbers = sorted({r.n_target for r in results})
    parts = []
    for kind, title in (("real", "Real machines moved to another place"), ("synthetic", "Synthetic machines")):
        own = [r for r in results if r.kind == kind]
        if own:
            parts += [
                f"**{title}** ({len({r.site for r in own})} machines): AUC",
                "",
                *_auc_table(own, names, numbers),
                "",
            ]
    parts += ["**Each set**, default scoring: AUC", "", *_site_table(results, numbers), ""]
    parts += ["**Alarms at the threshold that enrolment sets**, default scoring: share of clips", ""]
    parts += [*_share_table(results, numbers), ""]
    listened = [r for r in results if "alarms" in r.figures]
    if listened:
        title = f"**False alarms per day** at a budget of {budget_per_day:g}, set on the source's normal sound alone"
        parts += [title, "", *_alarm_table(listened, names, numbers), ""]
    parts += ["**Density normalisation**: mixed AUC of all machines", "", *_density_table(results, numbers), ""]
    stamp = datetime.datetime.now(datetime.timezone.utc).date()
    seeds = len({r.seed for r in results})
    versions = f"numpy {np.__version__}, python {platform.python_version()}, edged {edged.__version__}"
    return "\n".join([*parts, f"{stamp}, {label}, {seeds} seeds (mean ± std over them), {versions}."])


def _auc_table(results: Sequence[Result], names: Iterable[str], numbers: Sequence[int]) -> list[str]:
    last = numbers[-1]
    columns = [f"{part}, {n}" for part in ("source", "target") for n in (0, last)] + [f"mixed, {n}" for n in numbers]
    lines = _head(["target clips enrolled:", *columns, "recovered"])
    for name in names:
        own = [r for r in results if r.scoring == name]
        cells = [_cell(own, part, n) for part in ("source", "target") for n in (0, last)]
        cells += [_cell(own, "mixed", n) for n in numbers]
        lines.append(_line([name, *cells, _recovered(own, last)]))
    return lines


def _recovered(results: Sequence[Result], last: int) -> str:
    """Share of what the shift took that enrolment gives back.

    The mixed AUC could at best be that of two monitors that know where they are, one for each domain: their mean.
    """
    parts = (("source", 0), ("alone", last), ("mixed", 0), ("mixed", last))
    source, alone, lost, after = (_mean(results, part, n) for part, n in parts)
    loss = (source + alone) / 2 - lost
    return f"{(after - lost) / loss:.0%}" if loss > 0.05 else "little lost"


def _site_table(results: Sequence[Result], numbers: Sequence[int]) -> list[str]:
    last = numbers[-1]
    chosen = [("source", 0), ("source", last), ("target", 0), ("target", last), ("alone", last)]
    chosen += [("mixed", n) for n in numbers]
    lines = _head(["set", *(f"{part}, {n}" for part, n in chosen)])
    for name, own in _by_set(results).items():
        lines.append(_line([name, *(_cell(own, part, n) for part, n in chosen)]))
    return lines


def _share_table(results: Sequence[Result], numbers: Sequence[int]) -> list[str]:
    last = numbers[-1]
    parts = ("target alarms", "source alarms", "found")
    columns = [f"normal, after the shift, {n}" for n in numbers] + [f"normal, source, {n}" for n in (0, last)]
    lines = _head(["set", *columns, *(f"broken, {n}" for n in (0, last))])
    for name, own in _by_set(results).items():
        cells = [_share(own, part, n) for part in parts for n in (numbers if part == parts[0] else (0, last))]
        lines.append(_line([name, *cells]))
    return lines


def _by_set(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Results of the default scoring: of every real set, and of all synthetic machines together."""
    own = [r for r in results if r.scoring == "default"]
    names = dict.fromkeys(r.site if r.kind == "real" else "all synthetic" for r in own)
    return {name: [r for r in own if name in (r.site, f"all {r.kind}")] for name in names}


def _alarm_table(results: Sequence[Result], names: Iterable[str], numbers: Sequence[int]) -> list[str]:
    columns = ["source, 0", f"source, {numbers[-1]}", *(f"after the shift, {n}" for n in numbers)]
    lines = _head(["target clips enrolled:", *columns])
    for name in names:
        own = [r for r in results if r.scoring == name]
        cells = [_cell(own, "check", n, 0) for n in (0, numbers[-1])] + [_cell(own, "alarms", n, 0) for n in numbers]
        lines.append(_line([name, *cells]))
    return lines


def _density_table(results: Sequence[Result], numbers: Sequence[int]) -> list[str]:
    rows = {
        "Euclidean, nearest reference": "nearest",
        "Euclidean, density-normalised": "density",
        "Euclidean, density-normalised, isolated references not limited": "density, no limit",
        "cosine, nearest reference": "nearest-cosine",
        "cosine, density-normalised": "density-cosine",
    }
    lines = _head(["target clips enrolled:", *map(str, numbers)])
    for label, name in rows.items():
        own = [r for r in results if r.scoring == name]
        lines.append(_line([label, *(_cell(own, "mixed", n) for n in numbers)]))
    return lines


def _cell(results: Sequence[Result], part: str, n_target: int, digits: int = 3) -> str:
    """Mean over machines, with its standard deviation over seeds."""
    seeds = sorted({r.seed for r in results})
    by_seed = [_mean([r for r in results if r.seed == seed], part, n_target) for seed in seeds]
    return f"{np.mean(by_seed):.{digits}f} ± {np.std(by_seed):.{digits}f}"


def _share(results: Sequence[Result], part: str, n_target: int) -> str:
    return f"{_mean(results, part, n_target):.0%}"


def _mean(results: Sequence[Result], part: str, n_target: int) -> float:
    """Over machines, each of which counts once however often its clips were divided."""
    by_site: dict[str, list[float]] = {}
    for r in results:
        if r.n_target == n_target and part in r.figures:
            by_site.setdefault(r.site, []).append(r.figures[part])
    return float(np.mean([np.mean(values) for values in by_site.values()]))


def _head(cells: Sequence[str]) -> list[str]:
    return [_line(cells), "|---|" + "---:|" * (len(cells) - 1)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
