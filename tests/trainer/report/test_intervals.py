"""Bootstrap draws against the figures of clips that are really drawn again, and the intervals' coverage."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from trainer.evaluate.judged import JudgedSection, mean_figures, section_figures
from trainer.report.drawn_figures import Draws, drawn_figures
from trainer.report.intervals import drawn_counts, mean_draws, section_draws, with_intervals


def section_of(normal, anomalous, target_share=0.0):
    scores = np.r_[normal, anomalous]
    is_anomalous = np.r_[np.zeros(len(normal), bool), np.ones(len(anomalous), bool)]
    n_target = round(target_share * min(len(normal), len(anomalous)))
    domains = tuple("target" if k < n_target else "source" for side in (normal, anomalous) for k in range(len(side)))
    return JudgedSection(
        "fan", "00", scores, is_anomalous, domains, tuple(map(Path, map(str, range(len(scores))))), np.empty(0)
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_every_draw_has_the_figures_of_its_clips(seed, decimals):
    rng = np.random.default_rng(seed)
    section = section_of(rng.normal(size=11).round(decimals), rng.normal(0.9, 1.4, 7).round(decimals), 0.4)
    counts = drawn_counts(section, 8, np.random.default_rng((seed, 1)))
    drawn = section_draws(section, (seed, 1), 8)
    for row, count in enumerate(counts):
        clips = np.repeat(np.arange(18), count)
        again = JudgedSection(
            "fan",
            "00",
            section.scores[clips],
            section.is_anomalous[clips],
            tuple(section.domains[k] for k in clips),
            tuple(section.paths[k] for k in clips),
            np.empty(0),
        )
        expected = section_figures(again)
        assert set(drawn) == set(expected)
        assert {name: values[row] for name, values in drawn.items()} == pytest.approx(expected, abs=1e-9)


def test_draws_in_pieces_are_as_many_as_asked_for(monkeypatch):
    monkeypatch.setattr("trainer.report.intervals.MAX_CELLS", 50)
    drawn = section_draws(section_of(np.arange(10.0), np.arange(5.0, 15.0)), (0,), 33)
    assert {len(values) for values in drawn.values()} == {33}


def test_strata_keep_their_sizes():
    section = section_of(np.arange(9.0), np.arange(6.0), 0.5)
    counts = drawn_counts(section, 50, np.random.default_rng(0))
    for flag in (False, True):
        for domain in ("source", "target"):
            chosen = (section.is_anomalous == flag) & (np.array(section.domains) == domain)
            assert (counts[:, chosen].sum(axis=1) == chosen.sum()).all()


def test_all_scores_alike():
    draws = Draws.of(np.zeros(5), np.array([0, 0, 1, 1, 1], bool), np.ones((1, 5), np.int64))
    expected = section_figures(section_of([0.0, 0.0], [0.0, 0.0, 0.0]))
    for name, values in drawn_figures(draws).items():
        assert values[0] == pytest.approx(expected[name], abs=1e-12)


def test_means_over_sections_without_drawing():
    sections = [section_of(np.arange(8.0), np.arange(4.0, 12.0)), section_of(np.arange(6.0), np.arange(1.0, 9.0))]
    whole = [drawn_figures(Draws.of(s.scores, s.is_anomalous, np.ones((1, len(s.scores)), np.int64))) for s in sections]
    means = {name: values[0] for name, values in mean_draws(whole).items()}
    expected = {name: value for name, value in mean_figures(sections).items() if not name.startswith("source")}
    assert means == pytest.approx(expected)


def test_intervals_cover_the_true_auc():
    true_auc, covered, rng = norm.cdf(1.0 / np.sqrt(2.0)), [], np.random.default_rng(0)
    for trial in range(120):
        section = section_of(rng.normal(size=40), rng.normal(1.0, 1.0, 40))
        interval = with_intervals({"auc": section_figures(section)["auc"]}, section_draws(section, (trial,), 150))
        covered.append(interval["auc"].low <= true_auc <= interval["auc"].high)
    assert 0.88 < np.mean(covered) < 0.99  # the percentile bootstrap is a little narrow


def test_the_same_seed_draws_the_same_clips():
    section = section_of(np.arange(8.0), np.arange(4.0, 12.0))
    first, again, other = (section_draws(section, seed, 20)["auc"] for seed in ((1, 0), (1, 0), (2, 0)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
