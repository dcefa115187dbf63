"""Band statistics against numpy over all frames at once."""

import numpy as np
import pytest
import torch

from edged.errors import AudioError, ConfigError
from trainer.models.standardisation import band_statistics


def test_statistics_are_those_of_all_frames_together():
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(n, t, 6, generator=generator) * 7.0 - 40.0 for n, t in ((3, 5), (1, 9), (4, 2))]
    frames = np.concatenate([batch.numpy().reshape(-1, 6) for batch in batches]).astype(np.float64)
    mean, std = band_statistics(iter(batches), 6)
    np.testing.assert_allclose(mean, frames.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(std, frames.std(axis=0), rtol=1e-9)


def test_a_band_that_does_not_vary_is_not_divided_by():
    images = torch.randn(2, 20, 3)
    images[:, :, 1] = -49.7
    _, std = band_statistics([images], 3)
    assert std[1] == 1.0
    assert (std[[0, 2]] != 1.0).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_are_refused(value):
    images = torch.zeros(2, 4, 3)
    images[1, 2, 0] = value
    with pytest.raises(AudioError, match="not finite"):
        band_statistics([torch.zeros(2, 4, 3), images], 3)


@pytest.mark.parametrize("batches", [[], [torch.zeros(0, 4, 3)], [torch.zeros(2, 0, 3)]])
def test_nothing_to_learn_from_is_refused(batches):
    with pytest.raises(AudioError, match="no frames"):
        band_statistics(batches, 3)


@pytest.mark.parametrize("shape", [(2, 3, 4), (4, 3), (1, 2, 4, 3)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ConfigError, match="have the shape"):
        band_statistics([torch.zeros(shape)], 3)
