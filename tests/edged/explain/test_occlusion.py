import numpy as np
import pytest

from edged.explain.grid import Grid
from edged.explain.occlusion import Occluder
from edged.explain.typical import typical_of
from edged.features.anomaly import segment_features
from tests.edged.explain.conftest import hum

TONE = (3000.0, 4.0, 6.0, 0.05)


def occluder(judge, spec, samples):
    grid = Grid(spec, 10, 12)
    return Occluder(spec, samples, typical_of(judge.bank, spec, "source"), grid), grid


def test_hiding_nothing_leaves_every_bit(shipped):
    judge, spec = shipped
    samples = hum(10.0, 50, TONE)
    made, _ = occluder(judge, spec, samples)
    found = made.hidden(np.zeros((10, 12), bool)).features
    for name, value in segment_features(samples, spec).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, atol=1e-6)


def test_hiding_the_tone_gives_what_was_there_without_it(shipped):
    judge, spec = shipped
    with_tone, without = hum(10.0, 50, TONE), hum(10.0, 50)
    made, grid = occluder(judge, spec, with_tone)
    hidden = np.zeros((10, 12), bool)
    hidden[4:6, np.searchsorted(grid.band_edges_hz, TONE[0]) - 1] = True
    scores = [judge.score(made.hidden(cells)) for cells in (np.zeros((10, 12), bool), hidden)]
    made_without, _ = occluder(judge, spec, without)
    clean = judge.score(made_without.hidden(np.zeros((10, 12), bool)))
    assert scores[0] > clean + 3.0
    assert abs(scores[1] - clean) < 0.2 * (scores[0] - clean)


def test_hiding_all_of_a_normal_sound_keeps_it_normal(shipped):
    judge, spec = shipped
    made, _ = occluder(judge, spec, hum(10.0, 51))
    assert judge.score(made.hidden(np.ones((10, 12), bool))) < judge.bank.threshold


@pytest.mark.parametrize("samples", [np.zeros(32000, np.float32), np.ones(1, np.float32), hum(0.5, 1)])
def test_silence_and_scraps_give_finite_features(small, samples):
    judge, spec = small
    made, _ = occluder(judge, spec, samples)
    for cells in (np.zeros((10, 12), bool), np.ones((10, 12), bool)):
        assert all(np.isfinite(value).all() for value in made.hidden(cells).features.values())


def test_typical_levels_are_those_of_the_domain(small, without_levels):
    judge, spec = small
    typical = typical_of(judge.bank, spec, "source")
    assert typical.statistic == "mean"
    np.testing.assert_allclose(
        typical.levels_db, judge.bank.references["mean"].vectors[:, :64].mean(axis=0), rtol=1e-5
    )  # fmt: skip
    assert typical_of(without_levels[0].bank, without_levels[1], "source").levels_db is None
