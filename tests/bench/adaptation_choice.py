"""Which back ends the anomaly bundle should score by, chosen on machines that nobody has looked at.

    python tests/bench/adaptation_choice.py [--machines 24] [--seeds 3] [--cache DIR] [--write]

The candidates and the rule were fixed before the machines were drawn. Four parts are judged, all by AUC at one level:

    synthetic source   normal against broken clips of the source, 10, 20 and 40 clips of it enrolled
    synthetic mixed    both domains against all broken clips, 20 clips of the source and 3 and 10 after the shift
    real source        the machines of `adaptation.py` where they stand
    real mixed         and moved to another place, with 3 and 10 clips of it

The rule: the challenger is the candidate with the best mean rank over the parts. It replaces the default if its mean
AUC over the parts is better by more than one standard error of the difference (over machines, the parts as independent)
and it is not worse on the real source; and if, at a threshold with no more false onsets than the default's (`calm.py`),
it finds no fewer clear faults. Else the default stays.

By that the default stayed: the challenger won on real machines and lost on synthetic ones. But another candidate was
better than the default in every part. So a second rule was fixed, for that one alone, before more machines were drawn:
on 24 new ones it has to be better in mean AUC by more than one standard error of the difference over the two synthetic
parts, and no worse in either of them; and `calm.py` has to agree as above. `--write` puts all into edged/README.md.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from adaptation import ROOT, aucs, fitted, split, vectors_name
from adaptation_sites import Cache, Site, real_sites, unseen_sites
from scipy.stats import rankdata

from edged.embed.bundle import Bundle, RepresentationSpec, load_bundle
from edged.score.choices import Scoring, chosen_specs
from trainer.data.clips import data_directory
from trainer.evaluate.anomaly import model_label, product_vectors, write_between_marks

MARKS = ("<!-- choice: begin -->", "<!-- choice: end -->")
SEED = 60_601
CONFIRMED_SEED = 60_602
N_SOURCE, N_TARGET = (10, 20, 40), (3, 10)
N_NORMAL, N_BROKEN = (60, 30), 20
PARTS = ("synthetic source", "synthetic mixed", "real source", "real mixed")
FIRST = "quiet: shrinkage, change: density, embedding: shrinkage"
"""What shipped when the choice was made."""
SECOND = "quiet: shrinkage, change: density, embedding: density-cosine"
"""Judged again, alone."""
CANDIDATES: dict[str, Scoring] = {
    FIRST: {"quiet": "shrinkage", "change": "density", "embedding": "shrinkage"},
    "lof": "lof",
    "density": "density",
    "lof, embedding: shrinkage": {"quiet": "lof", "change": "lof", "embedding": "shrinkage"},
    "lof, embedding: density-cosine": {"quiet": "lof", "change": "lof", "embedding": "density-cosine"},
    SECOND: {"quiet": "shrinkage", "change": "density", "embedding": "density-cosine"},
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """One AUC.

    Attributes:
        part: of `PARTS`.
        n_enrolled: clips of what was varied.
    """

    part: str
    site: str
    candidate: str
    n_enrolled: int
    auc: float


def main() -> None:
    """Print the table and what follows; optionally write them into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "edged" / "bundles" / "anomaly")
    parser.add_argument("--machines", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3, help="places that the real machines are moved to")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "edged-adaptation")
    parser.add_argument("--write", action="store_true", help="into edged/README.md")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    cache = Cache(arguments.cache / vectors_name(bundle), product_vectors(bundle))
    root = data_directory()
    looked, looked_again = (
        [
            figure
            for site in unseen_sites(root, cache, arguments.machines, seed, N_NORMAL, N_BROKEN)
            for figure in synthetic_figures(site, bundle)
        ]
        for seed in (SEED, CONFIRMED_SEED)
    )
    looked += [
        f for s in range(arguments.seeds) for site in real_sites(root, cache, s) for f in real_figures(site, s, bundle)
    ]
    text = table(looked, confirmation(looked_again), model_label(bundle))
    print(text)
    if arguments.write:
        write_between_marks(ROOT / "edged" / "README.md", text, MARKS)


def systems(bundle: Bundle) -> dict[str, tuple[RepresentationSpec, ...]]:
    """The candidates."""
    return {name: chosen_specs(bundle.manifest.representations, scoring) for name, scoring in CANDIDATES.items()}


def synthetic_figures(site: Site, bundle: Bundle) -> Iterator[Figure]:
    """All candidates on one machine."""
    judged = {"source": range(max(N_SOURCE), N_NORMAL[0]), "target": range(max(N_TARGET), N_NORMAL[1])}
    for name, specs in systems(bundle).items():
        for n in N_SOURCE:
            auc = aucs(fitted(site, range(n), [], specs), site, judged)["source"]
            yield Figure("synthetic source", site.name, name, n, auc)
        for n in N_TARGET:
            auc = aucs(fitted(site, range(20), range(n), specs), site, judged)["mixed"]
            yield Figure("synthetic mixed", site.name, name, n, auc)


def real_figures(site: Site, seed: int, bundle: Bundle) -> Iterator[Figure]:
    """All candidates on one machine, for every split of its clips."""
    for number in range(site.n_splits):
        source, target, judged = split(site, (seed, number))
        for name, specs in systems(bundle).items():
            yield Figure(
                "real source", site.name, name, 0, aucs(fitted(site, source, [], specs), site, judged)["source"]
            )
            for n in N_TARGET:
                auc = aucs(fitted(site, source, target[:n], specs), site, judged)["mixed"]
                yield Figure("real mixed", site.name, name, n, auc)


def by_machine(figures: Sequence[Figure], part: str, candidate: str) -> dict[str, float]:
    """Machine -> mean AUC over numbers of clips, splits and places."""
    own: dict[str, list[float]] = {}
    for figure in figures:
        if (figure.part, figure.candidate) == (part, candidate):
            own.setdefault(figure.site, []).append(figure.auc)
    return {site: float(np.mean(values)) for site, values in own.items()}


def gain(figures: Sequence[Figure], candidate: str, parts: Sequence[str] = PARTS) -> tuple[float, float]:
    """Mean difference to the first candidate over the parts, and its standard error."""
    means, variances = [], []
    for part in parts:
        ours, theirs = (by_machine(figures, part, name) for name in (candidate, FIRST))
        differences = np.array([ours[site] - theirs[site] for site in ours])
        means.append(differences.mean())
        variances.append(differences.var(ddof=1) / len(differences))
    return float(np.mean(means)), float(np.sqrt(np.sum(variances)) / len(parts))


def table(figures: Sequence[Figure], confirmed: str, label: str) -> str:
    """Markdown."""
    means = {name: [np.mean(list(by_machine(figures, p, name).values())) for p in PARTS] for name in CANDIDATES}
    ranks = dict(zip(means, rankdata(-np.array(list(means.values())), axis=0).mean(axis=1), strict=True))
    lines = ["| scoring | " + " | ".join([*PARTS, "mean", "mean rank", "gain"]) + " |", "|---|" + "---:|" * 7]
    for name, values in means.items():
        mean_gain, error = gain(figures, name)
        shown = "" if name == FIRST else f"{mean_gain:+.3f} ± {error:.3f}"
        cells = [*(f"{v:.3f}" for v in values), f"{np.mean(values):.3f}", f"{ranks[name]:.1f}", shown]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    sites = {part: len(by_machine(figures, part, FIRST)) for part in PARTS}
    stamp = datetime.datetime.now(datetime.timezone.utc).date()
    what = f"{sites['synthetic source']} synthetic and {sites['real source']} real machines"
    return "\n".join([*lines, "", conclusion(figures, means, ranks), confirmed, "", f"{stamp}, {label}, {what}."])


def conclusion(figures: Sequence[Figure], means: Mapping[str, Sequence[float]], ranks: Mapping[str, float]) -> str:
    """What the rule says of these figures."""
    challenger = min(ranks, key=lambda name: ranks[name])
    mean_gain, error = gain(figures, challenger)
    real = PARTS.index("real source")
    if challenger == FIRST:
        return "The default has the best mean rank and stays."
    if mean_gain > error and means[challenger][real] >= means[FIRST][real]:
        return f"`{challenger}` takes the default's place, if `calm.py` agrees."
    return f"`{challenger}` has the best mean rank but does not pass the rule: the default stays."


def confirmation(figures: Sequence[Figure]) -> str:
    """What the second rule says of the figures of other machines."""
    parts = PARTS[:2]
    mean_gain, error = gain(figures, SECOND, parts)
    by_part = {part: gain(figures, SECOND, [part]) for part in parts}
    passes = mean_gain > error and all(value >= 0.0 for value, _ in by_part.values())
    shown = ", ".join(f"{part} {value:+.4f} ± {spread:.4f}" for part, (value, spread) in by_part.items())
    verdict = "takes the default's place, if `calm.py` agrees" if passes else "does not pass either: the default stays"
    return f"`{SECOND}` on {len(by_machine(figures, parts[0], FIRST))} other synthetic machines: {shown}; it {verdict}."


if __name__ == "__main__":
    main()
