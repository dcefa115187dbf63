"""Figures of sections against counting pairs by hand."""

from pathlib import Path

import numpy as np
import pytest

from trainer.evaluate.auc import pairwise_wins
from trainer.evaluate.judged import JudgedSection, mean_figures, section_figures


def section(seed: int, *, domains: tuple[str, ...] = ("source", "target")) -> JudgedSection:
    rng = np.random.default_rng(seed)
    n = 40
    return JudgedSection(
        "fan",
        f"{seed:02d}",
        scores=np.round(rng.normal(size=n), 1),
        is_anomalous=np.arange(n) % 2 == 1,
        domains=tuple(domains[i // 2 % len(domains)] for i in range(n)),
        paths=tuple(Path(f"{i}.wav") for i in range(n)),
        normal_scores=np.empty(0),
    )


def test_domain_figures_take_normal_and_anomalous_clips_of_the_domain() -> None:
    one = section(1)
    figures = section_figures(one)
    in_source = np.array(one.domains) == "source"
    normal = one.scores[in_source & ~one.is_anomalous]
    anomalous = one.scores[in_source & one.is_anomalous]
    assert figures["source_auc"] == pytest.approx(pairwise_wins(normal, anomalous).mean())
    assert figures["auc"] == pytest.approx(pairwise_wins(one.normal, one.anomalous).mean())


def test_a_missing_domain_has_no_figures() -> None:
    assert "target_auc" not in section_figures(section(1, domains=("source",)))


def test_means_are_harmonic_for_ranking_and_arithmetic_else() -> None:
    sections = [section(1), section(2)]
    each = [section_figures(one) for one in sections]
    means = mean_figures(sections)
    assert means["auc"] == pytest.approx(2.0 / sum(1.0 / one["auc"] for one in each))
    assert means["f1_ev"] == pytest.approx(sum(one["f1_ev"] for one in each) / 2.0)
    plain = mean_figures(sections, harmonic=False)
    assert plain["auc"] == pytest.approx(sum(one["auc"] for one in each) / 2.0)
