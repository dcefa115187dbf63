"""What enrolling a few clips of a new acoustic condition recovers, and what it costs, for every back end.

    python tests/bench/adaptation.py [--seeds 3] [--synthetic 12] [--listened 6] [--cache DIR] [--write]

A machine is enrolled with clips of its source domain; then its conditions shift (`adaptation_sites.py`), and 0, 1, 3,
5, 10 clips of the new ones are enrolled too. Judged are other clips, all at one level:

    source, target  AUC of a domain's normal clips against its broken ones
    mixed           AUC of both domains' normal clips against all broken ones: one threshold has to serve both
    alarms          share of normal clips above the threshold that enrolment itself sets, and of broken ones
    false alarms    onsets and, while an alarm lasts, one more a minute, in minutes of normal sound. The threshold is
                    set anew after each enrolment on 24 minutes of normal sound of the source alone, for the budget, by
                    `edged.decide.budget`; it is checked on 24 other minutes of the source and 24 after the shift.

A seed decides which clips are enrolled and, for real machines, the place they are moved to. `--write` puts the tables
into edged/README.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from adaptation_sites import Cache, Site, sites
from adaptation_tables import tables

from edged.config import AnomalySettings
from edged.decide.budget import budget_threshold
from edged.decide.hysteresis import Hysteresis, HysteresisSettings
from edged.decide.thresholds import alarm_threshold
from edged.embed.bundle import MODEL_NAME, Bundle, RepresentationSpec, load_bundle
from edged.flow import Float64Array
from edged.score.anomaly import AnomalyScorer, fit_anomaly
from edged.score.choices import SCORINGS, chosen_specs
from edged.score.references import SOURCE, References
from trainer.data.clips import data_directory
from trainer.evaluate.anomaly import clip_scores, model_label, product_vectors, write_between_marks
from trainer.evaluate.roc import roc_auc

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- adaptation: begin -->", "<!-- adaptation: end -->")
N_TARGET = (0, 1, 3, 5, 10)
BUDGET_PER_DAY = 24.0
HOP_S = 2.56
UPDATE_SEGMENTS = 23
PLAIN: dict[str, dict[str, str | int | float]] = {
    "nearest": {"metric": "euclidean", "max_ratio": 1.0},
    "nearest-cosine": {"metric": "cosine", "max_ratio": 1.0},
    "density, no limit": {"metric": "euclidean", "max_ratio": 1e9},
}
"""Comparisons that no configuration offers: the density back end without its normalisation, and without its limit."""


@dataclass(frozen=True)
class Result:
    """One machine, one seed, one back end, one number of target clips.

    Attributes:
        figures: ``source``, ``target``, ``mixed`` AUC; ``alone``, the target's where only its clips are enrolled: what
            can be heard at all after the shift; ``source alarms``, ``target alarms``, ``found`` as shares of
            clips; ``check``, ``alarms`` per day where it was listened to.
    """

    site: str
    kind: str
    seed: int
    scoring: str
    n_target: int
    figures: Mapping[str, float]


def main() -> None:
    """Print the tables; optionally write them into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "edged" / "bundles" / "anomaly")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--synthetic", type=int, default=12, help="machines of the plant")
    parser.add_argument("--listened", type=int, default=6, help="of these, in which false alarms are counted")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "edged-adaptation")
    parser.add_argument("--write", action="store_true", help="into edged/README.md")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    cache = Cache(arguments.cache / vectors_name(bundle), product_vectors(bundle))
    results = [
        result
        for seed in range(arguments.seeds)
        for site in sites(data_directory(), cache, arguments.synthetic, arguments.listened, seed)
        for result in study(site, bundle, seed)
    ]
    text = tables(results, model_label(bundle), BUDGET_PER_DAY)
    print(text)
    if arguments.write:
        write_between_marks(ROOT / "edged" / "README.md", text, MARKS)


def vectors_name(bundle: Bundle) -> str:
    """Of the directory that keeps vectors: other back ends do not change them, another network or front end does."""
    return f"{bundle.manifest.files.get(MODEL_NAME, 'features')[:12]}-{bundle.manifest.features_digest[:12]}"


def systems(bundle: Bundle) -> dict[str, tuple[RepresentationSpec, ...]]:
    """Every scoring that a configuration can choose, and the comparisons."""
    specs = bundle.manifest.representations
    chosen = {name: chosen_specs(specs, name) for name in ("default", *SCORINGS)}
    plain = {
        name: tuple(spec.model_copy(update={"backend": "density", "params": params}) for spec in specs)
        for name, params in PLAIN.items()
    }
    return chosen | plain


def study(site: Site, bundle: Bundle, seed: int) -> Iterator[Result]:
    """All back ends and numbers of target clips of one machine, for every split of its clips."""
    for number in range(site.n_splits):
        source, target, judged = split(site, (seed, number))
        for n_target in N_TARGET:
            for name, specs in systems(bundle).items():
                scorer = fitted(site, source, target[:n_target], specs)
                figures = aucs(scorer, site, judged) | alarm_shares(scorer, site, judged) | false_alarms(scorer, site)
                if n_target == N_TARGET[-1]:
                    figures["alone"] = aucs(fitted(site, [], target[:n_target], specs), site, judged)["target"]
                yield Result(site.name, site.kind, seed, name, n_target, figures)


def split(site: Site, seed: tuple[int, int]) -> tuple[list[int], list[int], dict[str, list[int]]]:
    """Numbers of the clips to enrol from either domain, and domain -> those to judge."""
    rng = np.random.default_rng((*seed, len(site.name)))
    orders = {d: rng.permutation(len(clips)).tolist() for d, clips in site.normal.items()}
    if site.paired:
        source, rest = orders["source"][: site.n_source], orders["source"][site.n_source :]
        return source, rng.permutation(source).tolist(), {"source": rest, "target": rest}
    n_most = max(N_TARGET)
    rest = {"source": orders["source"][site.n_source :], "target": orders["target"][n_most:]}
    return orders["source"][: site.n_source], orders["target"][:n_most], rest


def fitted(
    site: Site, source: Sequence[int], target: Sequence[int], specs: Sequence[RepresentationSpec]
) -> AnomalyScorer:
    """As enrolment fits it to the clips of these numbers."""
    clips = [site.normal["source"][k] for k in source] + [site.normal["target"][k] for k in target]
    rows = [len(next(iter(clip.values()))) for clip in clips]
    others = 0 if site.paired else len(site.normal["source"])  # one recording heard twice is one clip
    numbers = np.repeat([*source, *(others + k for k in target)], rows)
    domains = tuple(np.repeat([SOURCE] * len(source) + ["target"] * len(target), rows).tolist())
    vectors = {spec.name: np.concatenate([clip[spec.name] for clip in clips]) for spec in specs}
    return fit_anomaly(specs, {name: References(value, domains, numbers) for name, value in vectors.items()})


def aucs(scorer: AnomalyScorer, site: Site, judged: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Of each domain, and of both together."""
    normal = {d: clip_scores(scorer, [site.normal[d][k] for k in numbers]) for d, numbers in judged.items()}
    broken = {d: clip_scores(scorer, clips) for d, clips in site.broken.items()}
    figures = {domain: roc_auc(normal[domain], broken[domain]) for domain in judged}
    mixed = roc_auc(np.concatenate(list(normal.values())), np.concatenate(list(broken.values())))
    return figures | {"mixed": mixed}


def alarm_shares(scorer: AnomalyScorer, site: Site, judged: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Shares of clips above the threshold that enrolment itself sets: normal ones of a domain, and broken ones."""
    threshold = alarm_threshold(scorer.normal_scores)
    shares = {
        f"{domain} alarms": float(np.mean(clip_scores(scorer, [site.normal[domain][k] for k in numbers]) > threshold))
        for domain, numbers in judged.items()
    }
    broken = [clip for clips in site.broken.values() for clip in clips]
    return shares | {"found": float(np.mean(clip_scores(scorer, broken) > threshold))}


def false_alarms(scorer: AnomalyScorer, site: Site) -> dict[str, float]:
    """Per day, in the source and after the shift, at the budget's threshold of the source; nothing if not listened."""
    if not site.listened:
        return {}
    heard = {part: [scorer.scores(minute) for minute in minutes] for part, minutes in site.listened.items()}
    threshold = budget_threshold(heard["set"], HOP_S, rule(), BUDGET_PER_DAY).threshold
    if threshold is None:
        raise SystemExit("what was heard does not support a threshold for the budget: listen longer")
    return {"check": per_day(heard["check"], threshold), "alarms": per_day(heard["target"], threshold)}


def rule() -> HysteresisSettings:
    """The daemon's default onset rule, with an update for every further minute."""
    defaults = AnomalySettings()
    return HysteresisSettings(
        onset_count=defaults.onset_segments,
        onset_window=defaults.onset_window,
        clear_count=defaults.cleared_segments,
        release=defaults.release,
        update_every=UPDATE_SEGMENTS,
    )


def per_day(runs: Sequence[Float64Array], threshold: float) -> float:
    """Onsets and updates per day."""
    count = 0
    for scores in runs:
        hysteresis = Hysteresis(rule())
        for k, score in enumerate(scores):
            transitions = hysteresis.push(float(score), threshold, k * 40_960, k * 40_960 + 160_000)
            count += sum(transition.kind in {"onset", "update"} for transition in transitions)
    return count * 86_400.0 / (sum(map(len, runs)) * HOP_S)


if __name__ == "__main__":
    main()
