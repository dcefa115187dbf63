"""HFCC: triangles with critical bandwidths, and features that a level or a constant filter do not change."""

import numpy as np
import pytest

from tests.fakes.sounds import word
from trainer.data.hfcc import HOP_SAMPLES, bark, critical_bandwidth_hz, hfcc, hfcc_weights

BINS_HZ = np.arange(321) * 25.0


def test_triangles_are_one_critical_band_wide() -> None:
    """Their area, in Hz, is the critical bandwidth at their peak (bins of 25 Hz leave 6 %)."""
    for triangle in hfcc_weights():
        centre_hz = BINS_HZ[triangle.argmax()]
        assert triangle.sum() * 25.0 == pytest.approx(float(critical_bandwidth_hz(centre_hz)), rel=0.06)


def test_centres_are_equally_far_apart_in_bark_and_the_band_is_used() -> None:
    weights = hfcc_weights(12)
    centres_hz = (weights @ BINS_HZ) / weights.sum(axis=1)
    steps = np.diff(bark(centres_hz))
    assert steps.std() < 0.05 * steps.mean()
    assert (weights[0][BINS_HZ <= 50.0] == 0.0).all()
    assert centres_hz[0] < 200.0
    assert centres_hz[-1] > 6000.0


def test_more_bands_do_not_make_them_narrower() -> None:
    """That is what sets HFCC apart from MFCC."""
    assert hfcc_weights(40)[0].sum() == pytest.approx(hfcc_weights(20)[0].sum(), rel=0.1)


def test_a_row_every_10_ms_on_its_samples() -> None:
    click = np.zeros(16_000, dtype=np.float32)
    click[8_000:8_160] = 0.5 * np.sin(np.arange(160))
    rows = hfcc(click)
    assert rows.shape == (100, 24)
    assert abs(int(np.abs(rows[:, :12]).sum(axis=1).argmax()) - 8_000 // HOP_SAMPLES) <= 1


def test_neither_level_nor_length_of_a_hop_matters() -> None:
    samples = word("milk", 1)
    np.testing.assert_allclose(hfcc(0.25 * samples), hfcc(samples), atol=2e-2)
    assert len(hfcc(samples[:161])) == 2
    assert np.isfinite(hfcc(np.zeros(50, dtype=np.float32))).all()
