"""How the two branches are built and joined, and what keeps them from collapsing."""

import pytest
import torch
from torch import nn

from edged.errors import ConfigError
from trainer.export import export_onnx, parity_gate
from trainer.losses.compactness import Compactness
from trainer.losses.trivial_solution import require_no_trivial_solution
from trainer.models.compact import CompactDualBranch, LogMelBranch
from trainer.models.dual_branch import DualBranch, SpectrogramBranch, SpectrumBranch

SIZES = {"n_frames": 40, "n_spectrum_bins": 8_000}


def small_networks(**options):
    """Both networks for segments of a second, with a batch of their inputs."""
    spectrum = torch.rand(3, 8_000)
    return [
        (DualBranch(n_bins=64, **SIZES, **options).eval(), (torch.rand(3, 40, 64), spectrum)),
        (CompactDualBranch(n_mels=32, **SIZES, **options).eval(), (torch.randn(3, 40, 32), spectrum)),
    ]


def test_embeddings_are_concatenated() -> None:
    network = DualBranch(SpectrogramBranch(40, 64, width=4), SpectrumBranch(8_000, width=8)).eval()
    spectrogram, spectrum = torch.randn(2, 40, 64), torch.rand(2, 8_000)
    embedding = network(spectrogram, spectrum)
    assert embedding.shape == (2, 256) == (2, network.dim)
    torch.testing.assert_close(embedding[:, :128], network.spectrogram(spectrogram))
    torch.testing.assert_close(embedding[:, 128:], network.spectrum(spectrum))


def test_embeddings_are_added() -> None:
    for network, inputs in small_networks(combine="add", dim=24):
        first, second = network.branches(*inputs)
        assert first.shape == second.shape == (3, 24)
        assert network.dim == 24
        torch.testing.assert_close(network(*inputs), first + second)


def test_branches_are_joined_by_combine_alone() -> None:
    """Features are exchanged between `branches` and `combine`; nothing else may happen in `forward`."""
    for network, inputs in small_networks(dim=24):
        assert network.dim == 48
        first, second = network.branches(*inputs)
        assert torch.equal(network(*inputs), network.combine(first, second))
        assert torch.equal(network.combine(first, second.flip(0))[:, 24:], second.flip(0))


def test_embeddings_of_different_lengths_can_only_be_concatenated() -> None:
    branches = SpectrogramBranch(40, 64, width=4, dim=16), SpectrumBranch(8_000, width=8, dim=8)
    assert DualBranch(*branches).dim == 24
    with pytest.raises(ConfigError, match="16 and 8 cannot be added"):
        DualBranch(*branches, combine="add")


@pytest.mark.parametrize("n", [1, 4])
def test_too_small_images_are_refused(n: int) -> None:
    with pytest.raises(ConfigError, match="too small"):
        SpectrogramBranch(n, 513)
    with pytest.raises(ConfigError, match="too small"):
        LogMelBranch(311, n)


def test_the_smallest_segments_are_those_that_leave_something() -> None:
    assert SpectrogramBranch(5, 5, width=2).eval()(torch.rand(1, 5, 5)).shape == (1, 128)
    assert SpectrumBranch(6_272, width=2).eval()(torch.rand(1, 6_272)).shape == (1, 128)
    with pytest.raises(ConfigError, match="6271 bins is too short"):
        SpectrumBranch(6_271, width=2)


def test_no_biases_are_trained() -> None:
    for network in (DualBranch(), CompactDualBranch()):
        trained = [name for name, p in network.named_parameters() if p.requires_grad and "bias" in name]
        assert trained == []


def test_with_biases_every_layer_has_one() -> None:
    for network, _ in small_networks(bias=True):
        layers = [m for m in network.modules() if any(True for _ in m.parameters(recurse=False))]
        assert {type(m) for m in layers} == {nn.Conv2d, nn.Conv1d, nn.BatchNorm2d, nn.BatchNorm1d, nn.Linear}
        assert all(layer.bias is not None and layer.bias.requires_grad for layer in layers)


@pytest.mark.parametrize("combine", ["concatenate", "add"])
def test_only_networks_without_biases_cannot_collapse(combine: str) -> None:
    for network, inputs in small_networks(combine=combine):
        require_no_trivial_solution(network, Compactness(2, network.dim), inputs)
    for network, inputs in small_networks(combine=combine, bias=True):
        with pytest.raises(ConfigError, match="is a bias term"):
            require_no_trivial_solution(network, Compactness(2, network.dim), inputs)


def test_zero_stays_zero_before_statistics_are_learned() -> None:
    """Without biases and with an untrained batch norm an empty input gives the zero vector."""
    network = DualBranch(SpectrogramBranch(40, 64, width=4), SpectrumBranch(8_000, width=8)).eval()
    assert not network(torch.zeros(1, 40, 64), torch.zeros(1, 8_000)).any()


def test_compact_branch_ignores_level() -> None:
    branch = LogMelBranch(40, 32, width=4).eval()
    image = torch.randn(2, 40, 32)
    torch.testing.assert_close(branch(image), branch(image + 17.0), atol=1e-4, rtol=1e-4)


def test_weights_keep_their_names() -> None:
    """Checkpoints of earlier trainings are loaded by these."""
    spectrogram, spectrum = SpectrogramBranch(40, 64).state_dict(), SpectrumBranch(8_000).state_dict()
    assert {"stem.0.weight", "stages.1.0.body.3.weight", "stages.1.0.shortcut.1.weight", "embedding.weight"} <= set(
        spectrogram
    )
    assert {"convolutions.0.weight", "dense.10.running_mean", "embedding.weight"} <= set(spectrum)
    assert "log_mel.resnet.stem.0.weight" in small_networks()[1][0].state_dict()


def test_added_embeddings_survive_export(tmp_path) -> None:
    network, inputs = small_networks(combine="add", bias=True)[0]
    named = dict(zip(("spectrogram", "spectrum"), inputs, strict=True))
    export_onnx(network, named, ["embedding"], tmp_path / "net.onnx")
    parity_gate(network, tmp_path / "net.onnx", named)
