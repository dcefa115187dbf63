"""Standardisation, export and trivial solutions of the baseline; its sizes are in test_tables.py."""

import pytest
import torch

from edged.errors import ConfigError
from trainer.export import export_onnx, parity_gate
from trainer.losses.compactness import Compactness
from trainer.losses.trivial_solution import require_no_trivial_solution
from trainer.models.baseline_resnet import BaselineResNet


def images(n=4, n_frames=40, n_mels=32):
    generator = torch.Generator().manual_seed(1)
    spread = torch.linspace(1.0, 9.0, n_mels)
    return torch.randn(n, n_frames, n_mels, generator=generator) * spread - torch.linspace(20.0, 60.0, n_mels)


def test_training_data_reaches_the_first_layer_standardised():
    network, data = BaselineResNet(40, 32).eval(), images()
    network.fit_standardisation([data[:1], data[1:]])
    seen = []
    network.stem[0].register_forward_pre_hook(lambda _m, args: seen.append(args[0]))
    network(data)
    std, mean = torch.std_mean(seen[0], dim=(0, 1, 2), correction=0)
    torch.testing.assert_close(mean, torch.zeros(32), atol=1e-4, rtol=0)
    torch.testing.assert_close(std, torch.ones(32), atol=1e-4, rtol=0)


def test_the_standardisation_is_stored_with_the_weights():
    network, other = BaselineResNet(40, 32).eval(), BaselineResNet(40, 32).eval()
    network.fit_standardisation([images()])
    other.load_state_dict(network.state_dict())
    assert torch.equal(other.mean, network.mean)
    assert network.mean.shape == network.std.shape == (32,)
    assert torch.equal(other(images()), network(images()))
    assert not network.mean.requires_grad


def test_it_exports_to_onnx(tmp_path):
    network, data = BaselineResNet(), images(3, 313, 128)
    network.fit_standardisation([data])
    export_onnx(network, {"log_mel": data}, ["embedding"], tmp_path / "net.onnx")
    figures = parity_gate(network, tmp_path / "net.onnx", {"log_mel": images(5, 313, 128)})
    assert figures["onnx_vs_torch_max_relative_error"] < 1e-4


def test_its_dim_is_what_it_puts_out():
    network = BaselineResNet(40, 32, dim=24).eval()
    assert network(images()).shape == (4, network.dim) == (4, 24)


def test_only_without_biases_it_cannot_collapse():
    loss = Compactness(2, 128)
    network = BaselineResNet(40, 32)
    network.fit_standardisation([images()])
    require_no_trivial_solution(network, loss, (images(),))
    with pytest.raises(ConfigError, match="is a bias term"):
        require_no_trivial_solution(BaselineResNet(40, 32, bias=True), loss, (images(),))
