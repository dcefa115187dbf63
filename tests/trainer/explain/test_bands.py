"""Shapley values against their definition, and the bands of a bundle's representations."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from edged.features.anomaly import clip_segments
from tests.trainer.explain.tiny import sound, tiny_bundle, tiny_spec
from trainer.explain.bands import NETWORK, MelBands, band_contributions, image_frequencies_hz, shapley_values
from trainer.explain.bundle_scorer import fit_bundle


def slow_shapley(worth, n_bands: int) -> list[float]:
    """Average over all orders of what replacing the band takes off."""
    orders = list(itertools.permutations(range(n_bands)))
    values = [0.0] * n_bands
    for order in orders:
        replaced = np.zeros(n_bands, bool)
        for band in order:
            before = worth(replaced)
            replaced[band] = True
            values[band] += (before - worth(replaced)) / len(orders)
    return values


def test_shapley_values_approach_the_average_over_all_orders() -> None:
    table = np.random.default_rng(0).uniform(0.0, 1.0, 16)

    def worth(replaced: np.ndarray) -> float:
        return float(table[int(replaced @ [1, 2, 4, 8])])

    def scores_of(replaced: np.ndarray) -> np.ndarray:
        return np.array([worth(row) for row in replaced])

    found = shapley_values(scores_of, 4, 4000, np.random.default_rng(1))
    np.testing.assert_allclose(found, slow_shapley(worth, 4), atol=5 * 0.5 / np.sqrt(4000))
    assert found.sum() == pytest.approx(table[0] - table[15], abs=1e-12)


def test_two_orders_suffice_where_bands_do_not_touch_each_other() -> None:
    share = np.array([3.0, -1.0, 0.5])
    found = shapley_values(lambda r: 7.0 - r @ share, 3, 2, np.random.default_rng(0))
    np.testing.assert_allclose(found, share, atol=1e-12)


@pytest.mark.parametrize("image", ["log_mel", "spectrogram"])
def test_bands_add_up_to_the_score_above_the_average_normal_sound(tmp_path: Path, image) -> None:
    """One band replaced at a time does not: correlated bands then all seem to lower the score."""
    fitted = fit_bundle(tiny_bundle(tmp_path / "b", image), [sound(k) for k in range(6)])
    (segment,) = clip_segments(sound(9, tone=(0.0, 1.0)), fitted.spec)
    found = band_contributions(fitted, segment)
    assert list(found) == ["quiet", "change", NETWORK]
    for part in fitted.parts("features"):
        own, normal = (
            fitted.contribution(part, v[np.newaxis])[0] for v in (segment.features[part.name], fitted.means[part.name])
        )
        assert found[part.name].sum() == pytest.approx(own - normal, abs=1e-9)
    own = segment.features[image]
    both = fitted.network_scores(segment)(np.stack([own, np.broadcast_to(fitted.hidden, own.shape)]))
    assert found[NETWORK].sum() == pytest.approx(both[0] - both[1], abs=1e-9)


@pytest.mark.parametrize("image", ["log_mel", "spectrogram"])
def test_every_representation_finds_the_tone_s_band(tmp_path: Path, image) -> None:
    fitted = fit_bundle(tiny_bundle(tmp_path / "b", image), [sound(k) for k in range(6)])
    (segment,) = clip_segments(sound(9, tone=(0.0, 1.0)), fitted.spec)
    bands = MelBands.of(fitted.spec)
    found = band_contributions(fitted, segment)
    for name in ("quiet", NETWORK) if image == "log_mel" else ("quiet",):
        top = int(found[name].argmax())
        assert bands.low_hz[top] < 2000.0 < bands.high_hz[top]


def test_bands_lie_where_the_filter_bank_has_them() -> None:
    spec = tiny_spec()
    bands = MelBands.of(spec)
    assert bands.low_hz[0] == pytest.approx(spec.mel_fmin_hz)
    assert bands.high_hz[-1] == pytest.approx(spec.mel_fmax_hz)
    np.testing.assert_allclose(bands.low_hz[1:], bands.centre_hz[:-1])
    np.testing.assert_array_equal(bands.nearest(bands.centre_hz), np.arange(32))


def test_a_spectrogram_s_bins_are_linear_in_frequency() -> None:
    spec = tiny_spec("spectrogram")
    frequencies_hz = image_frequencies_hz(spec, "spectrogram")
    assert (len(frequencies_hz), frequencies_hz[-1]) == (513, 8000.0)
    assert frequencies_hz[128] == 2000.0
