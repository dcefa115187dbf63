"""The dual-branch embedder (thesis 5.3.1, Tables 14 and 15).

    spectrogram (311, 513) --2-D ResNet--> 128 --\
                                                  concatenated: 256
    spectrum (80000,) ------1-D CNN------> 128 --/

No bias terms anywhere (batch normalisation has no trained shift), unbounded activations: together with fixed class
centres this keeps the network from collapsing to a constant. Concatenation keeps it from using only one branch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EMBEDDING_DIM = 128
"""Values each branch contributes."""


def batch_norm_1d(n: int) -> nn.BatchNorm1d:
    """Batch normalisation without a trained shift."""
    layer = nn.BatchNorm1d(n)
    layer.bias.requires_grad_(False)
    return layer


def batch_norm_2d(n: int) -> nn.BatchNorm2d:
    """Batch normalisation without a trained shift."""
    layer = nn.BatchNorm2d(n)
    layer.bias.requires_grad_(False)
    return layer


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; `stride` of the first one."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
            batch_norm_2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            batch_norm_2d(n_out),
        )
        self.shortcut = (
            nn.Identity()
            if stride == 1 and n_in == n_out
            else nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), batch_norm_2d(n_out))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, time, frequency) -> (batch, n_out, time / stride, frequency / stride)."""
        return F.relu(self.body(x) + self.shortcut(x))


class SpectrogramBranch(nn.Module):
    """Table 15: modified ResNet on the magnitude spectrogram minus its temporal mean.

    Args:
        n_frames: time frames of the input (311).
        n_bins: frequency bins of the input (513).
        width: channels of the first stage (16); the others follow by doubling.
    """

    def __init__(self, n_frames: int = 311, n_bins: int = 513, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 7, 2, 3, bias=False), batch_norm_2d(width), nn.ReLU(), nn.MaxPool2d(3, 2)
        )
        self.stages = nn.Sequential(
            _stage(width, width, 1),
            _stage(width, 2 * width, 2),
            _stage(2 * width, 4 * width, 2),
            _stage(4 * width, 8 * width, 2),
        )
        time, frequency = self._map_size(n_frames, n_bins)
        self.pool = nn.MaxPool2d((time, 1))
        self.embedding = nn.Linear(8 * width * frequency, EMBEDDING_DIM, bias=False)

    def _map_size(self, n_frames: int, n_bins: int) -> tuple[int, int]:
        with torch.no_grad():
            shape = self.eval().stages(self.stem(torch.zeros(1, 1, n_frames, n_bins))).shape
        self.train()
        return int(shape[2]), int(shape[3])

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(batch, n_frames, n_bins) -> (batch, 128)."""
        maps = self.stages(self.stem(spectrogram.unsqueeze(1)))  # (batch, 128, 10, 16) at full size
        embedding: Tensor = self.embedding(self.pool(maps).flatten(1))
        return embedding


def _stage(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(n_in, n_out, stride), ResidualBlock(n_out, n_out, 1))


class SpectrumBranch(nn.Module):
    """Table 14: 1-D CNN on the magnitude spectrum of the whole segment (strides 64, 32, 4).

    Args:
        n_bins: bins of the input (80,000).
        width: channels of every layer (128).
    """

    def __init__(self, n_bins: int = 80_000, width: int = 128) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *_conv(1, width, 256, 64, 96), *_conv(width, width, 64, 32, 31), *_conv(width, width, 16, 4, 6)
        )
        with torch.no_grad():
            n_flat = self.convolutions.eval()(torch.zeros(1, 1, n_bins)).numel()
        self.dense = nn.Sequential(*_dense(n_flat, 128), *_dense(128, 128), *_dense(128, 128), *_dense(128, 128))
        self.embedding = nn.Linear(128, EMBEDDING_DIM, bias=False)
        self.train()

    def forward(self, spectrum: Tensor) -> Tensor:
        """(batch, n_bins) -> (batch, 128)."""
        flat = self.convolutions(spectrum.unsqueeze(1)).flatten(1)  # (batch, 1280) at full size
        embedding: Tensor = self.embedding(self.dense(flat))
        return embedding


def _conv(n_in: int, n_out: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
    return [nn.Conv1d(n_in, n_out, kernel, stride, padding, bias=False), batch_norm_1d(n_out), nn.ReLU()]


def _dense(n_in: int, n_out: int) -> list[nn.Module]:
    return [nn.Linear(n_in, n_out, bias=False), batch_norm_1d(n_out), nn.ReLU()]


class DualBranch(nn.Module):
    """Both branches, their embeddings concatenated to (batch, 256)."""

    def __init__(self, spectrogram: nn.Module | None = None, spectrum: nn.Module | None = None) -> None:
        super().__init__()
        self.spectrogram = spectrogram or SpectrogramBranch()
        self.spectrum = spectrum or SpectrumBranch()

    @property
    def dim(self) -> int:
        """Length of the embedding."""
        return 2 * EMBEDDING_DIM

    def forward(self, spectrogram: Tensor, spectrum: Tensor) -> Tensor:
        """(batch, 311, 513), (batch, 80000) -> (batch, 256)."""
        return torch.cat([self.spectrogram(spectrogram), self.spectrum(spectrum)], dim=1)
