"""Shapes and properties of Tables 14 and 15."""

import torch
from torch import nn

from trainer.models.compact import CompactDualBranch, LogMelBranch
from trainer.models.dual_branch import DualBranch, SpectrogramBranch, SpectrumBranch


def test_spectrogram_branch_has_the_sizes_of_table_15() -> None:
    branch = SpectrogramBranch().eval()
    x = torch.zeros(1, 1, 311, 513)
    x = branch.stem[0](x)
    assert x.shape == (1, 16, 156, 257)
    x = branch.stem[3](x)
    assert x.shape == (1, 16, 77, 128)
    sizes = [(16, 77, 128), (32, 39, 64), (64, 20, 32), (128, 10, 16)]
    for stage, size in zip(branch.stages, sizes, strict=True):
        x = stage(x)
        assert x.shape[1:] == size
    assert branch.pool(x).shape == (1, 128, 1, 16)
    assert branch.embedding.in_features == 2048


def test_spectrum_branch_has_the_sizes_of_table_14() -> None:
    branch = SpectrumBranch().eval()
    x = torch.zeros(1, 1, 80_000)
    lengths = []
    for layer in branch.convolutions:
        x = layer(x)
        if isinstance(layer, nn.Conv1d):
            lengths.append((x.shape[2], x.shape[1]))
    assert lengths == [(1250, 128), (40, 128), (10, 128)]
    assert [layer.in_features for layer in branch.dense if isinstance(layer, nn.Linear)] == [1280, 128, 128, 128]


def test_embeddings_are_concatenated() -> None:
    network = DualBranch(SpectrogramBranch(40, 64, width=4), SpectrumBranch(8_000, width=8)).eval()
    spectrogram, spectrum = torch.randn(2, 40, 64), torch.rand(2, 8_000)
    embedding = network(spectrogram, spectrum)
    assert embedding.shape == (2, 256) == (2, network.dim)
    torch.testing.assert_close(embedding[:, :128], network.spectrogram(spectrogram))
    torch.testing.assert_close(embedding[:, 128:], network.spectrum(spectrum))


def test_no_biases_are_trained() -> None:
    for network in (DualBranch(), CompactDualBranch()):
        trained = [name for name, p in network.named_parameters() if p.requires_grad and "bias" in name]
        assert trained == []


def test_zero_stays_zero_before_statistics_are_learned() -> None:
    """Without biases and with an untrained batch norm an empty input gives the zero vector."""
    network = DualBranch(SpectrogramBranch(40, 64, width=4), SpectrumBranch(8_000, width=8)).eval()
    assert not network(torch.zeros(1, 40, 64), torch.zeros(1, 8_000)).any()


def test_compact_branch_ignores_level() -> None:
    branch = LogMelBranch(40, 32, width=4).eval()
    image = torch.randn(2, 40, 32)
    torch.testing.assert_close(branch(image), branch(image + 17.0), atol=1e-4, rtol=1e-4)
