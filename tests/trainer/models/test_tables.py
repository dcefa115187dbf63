"""Every output size of Tables 4, 14, 15 and 30, and the parameters counted by hand."""

from itertools import pairwise

import torch
from torch import nn

from tests.trainer.models.tables import (
    RESNET_CHANNELS,
    RESNET_WEIGHTS,
    SHORTCUT_CHANNELS,
    output_sizes,
    stage_weights,
    trained,
)
from trainer.models.baseline_resnet import BaselineResNet
from trainer.models.compact import LogMelBranch
from trainer.models.dual_branch import DualBranch, SpectrogramBranch, SpectrumBranch
from trainer.models.temporal_resnet import TemporalResNet


def of_kind(network, kind):
    return [module for module in network.modules() if isinstance(module, kind)]


def resnet_sizes(network, image):
    layers = [network.stem[0], *network.stages, network.pool, network.embedding]
    return output_sizes(network, layers, image)


def test_the_baseline_has_the_sizes_of_table_4():
    network = BaselineResNet()
    assert resnet_sizes(network, torch.zeros(2, 313, 128)) == [
        (16, 157, 64),
        (16, 78, 31),
        (32, 39, 16),
        (64, 20, 8),
        (128, 10, 4),
        (128, 1, 4),
        (128,),
    ]
    assert network.embedding.in_features == 512
    assert {layer.negative_slope for layer in of_kind(network, nn.LeakyReLU)} == {0.1}
    assert not of_kind(network, nn.ReLU)


def test_the_spectrogram_branch_has_the_sizes_of_table_15():
    """The flattened size is 16 x 128 = 2048; the printed 2056 is a misprint."""
    network = SpectrogramBranch()
    assert resnet_sizes(network, torch.zeros(2, 311, 513)) == [
        (16, 156, 257),
        (16, 77, 128),
        (32, 39, 64),
        (64, 20, 32),
        (128, 10, 16),
        (128, 1, 16),
        (128,),
    ]
    assert network.embedding.in_features == 2048


def test_the_spectrum_branch_has_the_sizes_of_table_14():
    """They are those of strides 64, 32 and 4; the printed 16 is a misprint."""
    network = SpectrumBranch()
    convolutions, dense = of_kind(network, nn.Conv1d), of_kind(network, nn.Linear)
    assert output_sizes(network, [*convolutions, *dense], torch.zeros(2, 80_000)) == [
        (128, 1250),
        (128, 40),
        (128, 10),
        *[(128,)] * 5,
    ]
    assert [(layer.kernel_size, layer.stride) for layer in convolutions] == [
        ((256,), (64,)),
        ((64,), (32,)),
        ((16,), (4,)),
    ]
    assert [layer.in_features for layer in dense] == [1280, 128, 128, 128, 128]


def test_the_temporal_resnet_has_the_sizes_of_table_30():
    network = TemporalResNet()
    assert len(network.stages) == 8
    received = []
    network.embed.register_forward_pre_hook(lambda _m, args: received.append(tuple(args[0].shape[1:])))
    assert output_sizes(network, [*network.stages, network.embed], torch.zeros(2, 16, 64)) == [
        *[(16, 16, 64)] * 2,
        *[(32, 16, 32)] * 2,
        *[(64, 16, 16)] * 2,
        *[(128, 16, 8)] * 2,
        (16, 128),
    ]
    assert received == [(16, 128)]  # after the maximum over eight bands


def test_parameters_of_table_4():
    weights = RESNET_WEIGHTS + 512 * 128
    assert trained(BaselineResNet()) == weights + RESNET_CHANNELS == 764_640


def test_the_baseline_with_biases_is_as_large_as_the_published_one():
    """Published: 772,192 trainable parameters with one centre of 128 values for each of 41 classes."""
    biases = RESNET_CHANNELS + SHORTCUT_CHANNELS + 128
    by_hand = RESNET_WEIGHTS + 512 * 128 + 2 * RESNET_CHANNELS + biases
    assert trained(BaselineResNet(bias=True)) == by_hand == 772_192 - 41 * 128


def test_parameters_of_table_15():
    weights, norms = RESNET_WEIGHTS + 2048 * 128, RESNET_CHANNELS + SHORTCUT_CHANNELS
    assert trained(SpectrogramBranch()) == weights + norms == 961_472
    assert trained(SpectrogramBranch(bias=True)) == weights + 3 * norms + 128 == 964_000


def test_parameters_of_table_14():
    weights = 256 * 128 + 64 * 128**2 + 16 * 128**2 + 1280 * 128 + 4 * 128**2
    norms = 7 * 128
    assert trained(SpectrumBranch()) == weights + norms == 1_573_760
    assert trained(SpectrumBranch(bias=True)) == weights + 3 * norms + 128 == 1_575_680


def test_parameters_of_both_branches_and_of_the_log_mel_branch():
    assert trained(DualBranch()) == 961_472 + 1_573_760
    assert trained(LogMelBranch()) == RESNET_WEIGHTS + RESNET_CHANNELS + SHORTCUT_CHANNELS + 4 * 128 * 128


def test_parameters_of_table_30():
    """0.71 M; published are 713,486, which is 146 fewer and not broken down."""
    channels = (1, 16, 32, 64, 128)
    weights = sum(stage_weights(n, m, shortcut=True) for n, m in pairwise(channels))
    norms = 2 * 4 * sum(channels[1:])
    assert trained(TemporalResNet()) == weights + norms + 128 * 128 + 128 == 713_632
