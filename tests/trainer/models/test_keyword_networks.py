"""Sizes and parameters of table 30 and of its variant for the sliding window."""

import pytest
import torch

from trainer.models.sliding_window import SlidingWindowNet
from trainer.models.speech_trunk import parameter_count
from trainer.models.temporal_resnet import TemporalResNet


def stage_sizes(network: torch.nn.Module) -> list[tuple[int, ...]]:
    """(time, bands, channels) after each stage of two blocks."""
    x, sizes = torch.zeros(1, 1, 16, 64), []
    for index, block in enumerate(network.eval().stages):
        x = block(x)
        if index % 2:
            sizes.append((x.shape[2], x.shape[3], x.shape[1]))
    return sizes


def test_temporal_resnet_has_the_sizes_and_parameters_of_table_30() -> None:
    network = TemporalResNet()
    assert stage_sizes(network) == [(16, 64, 16), (16, 32, 32), (16, 16, 64), (16, 8, 128)]
    assert network(torch.zeros(2, 16, 64)).shape == (2, 16, 128)
    assert round(parameter_count(network) / 1e6, 2) == 0.71
    assert [m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)] == [0.2] * 8


def test_sliding_window_pools_over_time_too_and_gives_one_vector() -> None:
    network = SlidingWindowNet()
    assert stage_sizes(network) == [(16, 64, 16), (8, 32, 32), (4, 16, 64), (2, 8, 128)]
    assert network.embed.in_features == 2 * 128
    assert network(torch.randn(3, 16, 64)).shape == (3, 128)


def test_sliding_window_needs_frames_that_can_be_halved() -> None:
    with pytest.raises(ValueError, match="20 frames"):
        SlidingWindowNet(n_frames=20)


def test_cropped_context_changes_nothing_but_the_ends() -> None:
    """What lies further away than the network sees does not matter: 16 frames are enough for 16 convolutions of 3."""
    torch.manual_seed(0)
    whole, cropped = TemporalResNet(width=2).eval(), TemporalResNet(width=2, crop=(16, 16)).eval()
    cropped.load_state_dict(whole.state_dict())
    frames = torch.randn(1, 80, 64)
    torch.testing.assert_close(cropped(frames[:, 16:64]), whole(frames)[:, 32:48], atol=1e-5, rtol=1e-4)
