"""The autoencoder's size, its score against a loop over frames, and that it learns what is normal."""

from itertools import pairwise

import pytest
import torch

from edged.errors import ConfigError
from tests.trainer.models.tables import trained
from trainer.export import export_onnx, parity_gate
from trainer.models.autoencoder import Autoencoder


def tones(n, shift_db=0.0, *, seed=0):
    """Images (n, 30, 16) of one tilted spectrum whose level drifts; `shift_db` raises two bands."""
    generator = torch.Generator().manual_seed(seed)
    level = 3.0 * torch.randn(n, 30, 1, generator=generator)
    image = level - torch.linspace(20.0, 50.0, 16) + 0.5 * torch.randn(n, 30, 16, generator=generator)
    image[:, :, 5:7] += shift_db
    return image


def trained_autoencoder(n_steps=80):
    torch.manual_seed(0)
    network = Autoencoder(n_mels=16, width=32, n_code=4)
    network.fit_standardisation([tones(64)])
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for step in range(n_steps):
        optimiser.zero_grad()
        network.reconstruction_loss(tones(16, seed=step)).backward()
        optimiser.step()
    return network.eval()


def test_it_is_as_large_as_the_dcase_baseline():
    """267,928 trained parameters: ten dense layers with biases, nine of them normalised."""
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    dense = sum(n * m + m for n, m in pairwise(sizes))
    assert trained(Autoencoder()) == dense + 2 * sum(sizes[1:-1]) == 267_928


def test_frames_are_stacked_in_order():
    network = Autoencoder(n_mels=2, n_stacked=3)
    image = torch.arange(10.0).view(1, 5, 2)
    assert network.stacked(image).tolist() == [[[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7], [4, 5, 6, 7, 8, 9]]]


def test_the_anomaly_score_is_the_mean_over_a_clips_own_frames():
    network = Autoencoder(n_mels=16, width=32).eval()
    images = tones(3)
    expected = []
    for image in images.double():
        vectors = [torch.cat(list(image[i : i + 5])) for i in range(26)]
        outputs = network.double().reconstruction(torch.stack(vectors)).detach()
        expected.append(sum(float((o - v).square().mean()) for o, v in zip(outputs, vectors, strict=True)) / 26)
    torch.testing.assert_close(network.float()(images), torch.tensor(expected), rtol=1e-4, atol=0)
    assert network.reconstruction_loss(images).item() == pytest.approx(sum(expected) / 3, rel=1e-4)


def test_the_standardisation_changes_the_start_not_the_unit():
    """Its error stays in dB squared: what a network of zeros leaves is the variance of the data."""
    network = Autoencoder(n_mels=16).eval()
    network.fit_standardisation([tones(64)])
    torch.nn.init.zeros_(network.output.weight)
    torch.nn.init.zeros_(network.output.bias)
    variance = float(tones(64).var(dim=(0, 1)).mean())
    assert network.reconstruction_loss(tones(64)).item() == pytest.approx(variance, rel=0.03)


def test_what_was_not_learned_is_reconstructed_worse():
    network = trained_autoencoder()
    with torch.no_grad():
        normal, anomalous = network(tones(40, seed=1000)), network(tones(40, 6.0, seed=1000))
    assert normal.mean() < 0.5 * tones(40).var(dim=(0, 1)).mean()
    assert (anomalous > normal).all()
    assert anomalous.min() > normal.max()


def test_it_exports_to_onnx(tmp_path):
    network = trained_autoencoder(5)
    export_onnx(network, {"log_mel": tones(3)}, ["anomaly_score"], tmp_path / "net.onnx")
    parity_gate(network, tmp_path / "net.onnx", {"log_mel": tones(5, 3.0)})


def test_too_few_frames_are_refused():
    with pytest.raises(ConfigError, match="4 frames are too few"):
        Autoencoder(n_mels=16)(torch.zeros(1, 4, 16))
