"""The network without parameters computes what the product's statistics vectors hold."""

import numpy as np
import pytest
import torch

from edged.features.statistics import statistics_vector
from trainer.export import export_onnx, parity_gate
from trainer.models.input_statistics import InputStatistics

IMAGES = torch.randn(3, 20, 12, generator=torch.Generator().manual_seed(0)) * 5.0 - 30.0


@pytest.mark.parametrize(("statistic", "name"), [("mean", "mean"), ("maximum", "max")])
def test_statistics_are_those_of_the_front_end(statistic, name):
    network = InputStatistics(statistic, 12)
    expected = np.stack([statistics_vector(image.numpy(), (name,)) for image in IMAGES])
    np.testing.assert_allclose(network(IMAGES), expected, rtol=1e-5)
    assert expected.shape[1] == network.dim
    assert not list(network.parameters())


@pytest.mark.parametrize("statistic", ["mean", "maximum"])
def test_they_export_to_onnx(statistic, tmp_path):
    network = InputStatistics(statistic, 12)
    export_onnx(network, {"log_mel": IMAGES}, ["embedding"], tmp_path / "net.onnx")
    parity_gate(network, tmp_path / "net.onnx", {"log_mel": IMAGES.flip(0)[:2]})
