"""Histograms of scores: every clip is in a bin."""

import numpy as np
import pytest

from trainer.report.histograms import N_BINS, _edges


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("linear_width", [0.0, 0.3])
def test_no_clip_falls_out_of_the_bins(seed: int, linear_width: float) -> None:
    """Regression: rounding put the last edge below the highest score, and the clearest anomaly was not drawn."""
    scores = np.random.default_rng(seed).standard_normal(50) ** 3 * 10.0
    edges = _edges(scores, linear_width)
    assert len(edges) == N_BINS + 1
    assert (np.diff(edges) > 0.0).all()
    assert np.histogram(scores, edges)[0].sum() == 50
