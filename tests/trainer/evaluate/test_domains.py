"""DCASE's figures over domains and sections against counting pairs."""

import numpy as np
import pytest

from edged.score.references import SOURCE
from tests.trainer.evaluate.loops import TIED, count_roc, draw, standardised_area
from trainer.evaluate.domains import SectionFigures, dcase_score, harmonic_mean, section_figures, thesis_score


def slow_auc(normal, anomalous):
    wins = [1.0 if a > n else 0.5 if a == n else 0.0 for n in normal for a in anomalous]
    return sum(wins) / len(wins)


@TIED
def test_only_the_normal_clips_are_taken_by_domain(seed, tied):
    normal, anomalous = draw(seed, tied)
    rng = np.random.default_rng(seed)
    scores, is_anomalous = np.r_[normal, anomalous], np.r_[np.zeros(len(normal)), np.ones(len(anomalous))]
    domains = [SOURCE if x < 0.6 else "target" for x in rng.random(len(scores))]
    figures = section_figures(scores, is_anomalous, domains)
    in_source = [s for s, d in zip(normal, domains, strict=False) if d == SOURCE]
    in_target = [s for s, d in zip(normal, domains, strict=False) if d == "target"]
    assert figures.source_auc == pytest.approx(slow_auc(in_source, anomalous))
    assert figures.target_auc == pytest.approx(slow_auc(in_target, anomalous))
    assert figures.auc == pytest.approx(slow_auc(normal, anomalous))
    assert figures.partial_auc == pytest.approx(standardised_area(count_roc(normal, anomalous), 0.1))


def test_scores_are_harmonic_means_over_sections():
    sections = [SectionFigures(0.9, 0.8, 0.95, 0.7), SectionFigures(0.6, 0.5, 0.65, 0.55)]
    assert dcase_score(sections) == pytest.approx(6 / (1 / 0.95 + 1 / 0.7 + 1 / 0.8 + 1 / 0.65 + 1 / 0.55 + 1 / 0.5))
    assert thesis_score(sections) == pytest.approx(4 / (1 / 0.9 + 1 / 0.8 + 1 / 0.6 + 1 / 0.5))


def test_harmonic_mean_of_a_failure_is_zero():
    assert harmonic_mean([0.9, 0.0]) == 0.0


def test_a_domain_without_normal_clips_is_refused():
    with pytest.raises(ValueError, match="normal and anomalous"):
        section_figures([1.0, 2.0], [False, True], [SOURCE, SOURCE])
