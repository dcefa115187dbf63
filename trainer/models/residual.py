"""The modified ResNet of the thesis, which its image networks share (Tables 4 and 15).

image --7x7, stride 2, max pooling--> four stages of two residual blocks --maximum over time--> linear embedding
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edged.errors import ConfigError

SMALLEST_IMAGE = 5
"""Frames and bins that leave something after the stem."""


@dataclass(frozen=True)
class ResidualStyle:
    """What sets the ResNets of the thesis apart.

    Attributes:
        slope: of the leaky ReLU; 0 is the ordinary ReLU.
        shortcut_norm: normalise after a shortcut's convolution, too.
        bias: bias terms in convolutions and the embedding, trained shifts in the batch normalisation.
    """

    slope: float = 0.0
    shortcut_norm: bool = True
    bias: bool = False

    def activation(self) -> nn.Module:
        """A new activation; neither kind is bounded."""
        return nn.LeakyReLU(self.slope) if self.slope else nn.ReLU()

    def norm(self, n: int) -> nn.BatchNorm2d:
        """Batch normalisation; without biases it has no trained shift."""
        layer = nn.BatchNorm2d(n)
        layer.bias.requires_grad_(self.bias)
        return layer


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; `stride` of the first one."""

    def __init__(self, n_in: int, n_out: int, stride: int, style: ResidualStyle) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=style.bias),
            style.norm(n_out),
            style.activation(),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=style.bias),
            style.norm(n_out),
        )
        self.shortcut = nn.Identity() if stride == 1 and n_in == n_out else _shortcut(n_in, n_out, stride, style)
        self.activation = style.activation()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, time, frequency) -> (batch, n_out, time / stride, frequency / stride)."""
        result: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return result


def _shortcut(n_in: int, n_out: int, stride: int, style: ResidualStyle) -> nn.Sequential:
    convolution = nn.Conv2d(n_in, n_out, 1, stride, bias=style.bias)
    return nn.Sequential(convolution, style.norm(n_out)) if style.shortcut_norm else nn.Sequential(convolution)


def _stage(n_in: int, n_out: int, stride: int, style: ResidualStyle) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(n_in, n_out, stride, style), ResidualBlock(n_out, n_out, 1, style))


class ResidualNetwork(nn.Module):
    """Stem, four stages, maximum over time, linear embedding.

    Args:
        n_frames: time frames of the image.
        n_bins: frequency bins or bands of the image.
        width: channels of the first stage; the others follow by doubling.
        dim: of the embedding.
        style: activation, normalisation and biases.

    Raises:
        ConfigError: the image is too small for the strides.
    """

    def __init__(self, n_frames: int, n_bins: int, width: int, *, dim: int, style: ResidualStyle) -> None:
        super().__init__()
        if min(n_frames, n_bins) < SMALLEST_IMAGE:
            fix = f"give segments at least {SMALLEST_IMAGE} frames and bands"
            raise ConfigError(f"an image of {n_frames} frames and {n_bins} bands is too small for the network", fix=fix)
        self.dim = dim
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 7, 2, 3, bias=style.bias), style.norm(width), style.activation(), nn.MaxPool2d(3, 2)
        )
        self.stages = nn.Sequential(
            _stage(width, width, 1, style),
            _stage(width, 2 * width, 2, style),
            _stage(2 * width, 4 * width, 2, style),
            _stage(4 * width, 8 * width, 2, style),
        )
        time, frequency = self._map_size(n_frames, n_bins)
        self.pool = nn.MaxPool2d((time, 1))
        self.embedding = nn.Linear(8 * width * frequency, dim, bias=style.bias)

    def _map_size(self, n_frames: int, n_bins: int) -> tuple[int, int]:
        with torch.no_grad():
            shape = self.eval().stages(self.stem(torch.zeros(1, 1, n_frames, n_bins))).shape
        self.train()
        return int(shape[2]), int(shape[3])

    def forward(self, image: Tensor) -> Tensor:
        """(batch, n_frames, n_bins) -> (batch, dim)."""
        maps = self.stages(self.stem(image.unsqueeze(1)))  # (batch, 8 * width, n_frames / 32, n_bins / 32)
        embedding: Tensor = self.embedding(self.pool(maps).flatten(1))
        return embedding
