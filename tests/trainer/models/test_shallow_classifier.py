"""The shallow classifier against the layers of 5.5.1, written out."""

import torch
from torch import nn

from trainer.models.shallow_classifier import ShallowClassifier


def test_layers_are_those_of_the_thesis() -> None:
    network = ShallowClassifier(40)
    assert [tuple(layer.weight.shape) for layer in network.layers if isinstance(layer, nn.Linear)] == [
        (512, 40),
        (128, 512),
        (128, 128),
    ]
    assert all(layer.bias is None for layer in network.layers if isinstance(layer, nn.Linear))
    norms = [layer for layer in network.layers if isinstance(layer, nn.BatchNorm1d)]
    assert [norm.num_features for norm in norms] == [40, 512, 128]
    assert not any(norm.bias is not None and norm.bias.requires_grad for norm in norms)
    dropouts = [layer for layer in network.layers if isinstance(layer, nn.Dropout)]
    assert [layer.p for layer in dropouts] == [0.5]
    assert network.dim == 128


def test_output_equals_the_layers_one_by_one() -> None:
    torch.manual_seed(0)
    network = ShallowClassifier(6).eval()
    first, second, last = (layer.weight for layer in network.layers if isinstance(layer, nn.Linear))
    x = torch.randn(5, 6)
    shrink = (1.0 + 1e-5) ** -0.5  # untrained batch normalisation: mean 0, variance 1, epsilon 1e-5
    hidden = torch.relu((x * shrink) @ first.T * shrink)
    hidden = torch.relu(hidden @ second.T * shrink)
    torch.testing.assert_close(network(x), hidden @ last.T, rtol=1e-5, atol=1e-6)


def test_a_sequence_gives_the_mean_of_its_vectors_embeddings() -> None:
    torch.manual_seed(0)
    network = ShallowClassifier(6).eval()
    x = torch.randn(3, 4, 6)
    expected = torch.stack([network(clip).mean(dim=0) for clip in x])
    torch.testing.assert_close(network(x), expected)
