"""Both back ends of table 31: the daemon's decision without its haste, and the sliding window's boxes."""

import numpy as np
import pytest
from scipy.ndimage import median_filter

from edged.decide.keyword import KeywordDecider
from edged.score.dtw import offline_dtw
from trainer.keyword_systems.decide import Evidence, SlidingSpotter, TemplateSpotter, median_filtered

RNG = np.random.default_rng(0)
WORDS = {"long": [RNG.standard_normal((9, 4)).astype(np.float32) for _ in range(2)],
         "short": [RNG.standard_normal((5, 4)).astype(np.float32)]}  # fmt: skip
HOP_S = 0.016


def evidence_of(n_frames: int, seed: int) -> Evidence:
    rows = np.random.default_rng(seed).standard_normal((n_frames, 4)).astype(np.float32)
    return TemplateSpotter(WORDS, HOP_S).evidence(rows)


def test_evidence_is_the_best_template_of_each_word_as_it_is() -> None:
    rows = RNG.standard_normal((40, 4)).astype(np.float32)
    evidence = TemplateSpotter(WORDS, HOP_S).evidence(rows)
    slow = [offline_dtw(template, rows)[0] for template in WORDS["long"]]
    np.testing.assert_allclose(evidence.distances[:, 0], np.minimum(*slow), atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_findings_are_those_of_the_daemon_when_it_may_wait(seed: int) -> None:
    evidence = evidence_of(300, seed)
    limits = np.array([0.9, 0.7]) if seed % 2 else np.array([np.inf, np.inf])
    decider = KeywordDecider([9.0, 5.0], limits, hold_frames=10_000)
    matches = decider.push(0, evidence.distances, evidence.starts) + decider.flush(300)
    expected = [(("long", "short")[m.word], m.frame_start, m.frame_end, m.distance) for m in matches]
    found = TemplateSpotter(WORDS, HOP_S).findings(evidence, limits)
    got = [(f.word, round(f.onset_s / HOP_S), round(f.offset_s / HOP_S), f.distance) for f in found]
    assert sorted(got) == sorted(expected)
    assert got


def test_a_sweep_is_one_decision_per_limit() -> None:
    evidence, spotter = evidence_of(200, 3), TemplateSpotter(WORDS, HOP_S)
    limits = np.array([0.3, 0.6, 0.8])
    for limit, found in zip(limits, spotter.sweep(evidence, limits), strict=True):
        assert sorted(found, key=repr) == sorted(spotter.findings(evidence, np.full(2, limit)), key=repr)


@pytest.mark.parametrize("width", [1, 3, 7, 21])
def test_median_filter_equals_scipys(width: int) -> None:
    active = RNG.random(50) < 0.5
    expected = median_filter(active.astype(int), width, mode="constant").astype(bool)
    assert (median_filtered(active, width) == expected).all()


def test_boxes_are_widened_by_half_a_segment_and_single_frames_are_filtered_out() -> None:
    centres = np.eye(2, dtype=np.float32)
    spotter = SlidingSpotter(("a", "b"), centres, np.array([5.0, 5.0]), hop_s=0.1, segment_s=0.4)
    vectors = np.tile([-1.0, -1.0], (40, 1))
    vectors[10:16] = vectors[24:25] = [1.0, 0.0]  # six frames of "a", then one alone
    vectors[30:34] = [0.0, 3.0]
    found = spotter.findings(spotter.evidence(vectors.astype(np.float32)), np.full(2, 0.5))
    assert [(f.word, round(f.onset_s, 3), round(f.offset_s, 3)) for f in found] == [("a", 0.8, 1.8), ("b", 2.8, 3.6)]
    assert all(f.distance == pytest.approx(0.0, abs=1e-6) for f in found)
