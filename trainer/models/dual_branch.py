"""The dual-branch embedder (thesis 5.3.1, Tables 14 and 15).

    spectrogram (311, 513) --2-D ResNet--> 128 --\
                                                  concatenated: 256
    spectrum (80000,) ------1-D CNN------> 128 --/

No bias terms anywhere (batch normalisation has no trained shift), unbounded activations: together with fixed class
centres this keeps the network from collapsing to a constant. Concatenation keeps it from using only one branch. The
comparisons of Tables 16 (bias terms) and 17 (adding the embeddings) are arguments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from edged.errors import ConfigError
from trainer.models.residual import ResidualNetwork, ResidualStyle

EMBEDDING_DIM = 128
"""Values each branch contributes."""

SMALLEST_SPECTRUM = 6272
"""Bins that leave something after the strides of Table 14 (0.8 s at 16 kHz)."""

Combination = Literal["concatenate", "add"]


class SpectrogramBranch(ResidualNetwork):
    """Table 15: modified ResNet on the magnitude spectrogram minus its temporal mean.

    Args:
        n_frames: time frames of the input (311).
        n_bins: frequency bins of the input (513).
        width: channels of the first stage (16); the others follow by doubling.
        dim: of the embedding.
        bias: bias terms in every layer (Table 16).

    Raises:
        ConfigError: the spectrogram is too small for the strides.
    """

    def __init__(
        self, n_frames: int = 311, n_bins: int = 513, width: int = 16, *, dim: int = EMBEDDING_DIM, bias: bool = False
    ) -> None:
        super().__init__(n_frames, n_bins, width, dim=dim, style=ResidualStyle(bias=bias))


class SpectrumBranch(nn.Module):
    """Table 14: 1-D CNN on the magnitude spectrum of the whole segment.

    The output sizes of the table (1250, 40, 10) are those of strides 64, 32 and 4; its printed 16 is a misprint.

    Args:
        n_bins: bins of the input (80,000).
        width: channels of every convolution (128).
        dim: of the embedding.
        bias: bias terms in every layer (Table 16).

    Raises:
        ConfigError: the spectrum is too short for the strides.
    """

    def __init__(self, n_bins: int = 80_000, width: int = 128, *, dim: int = EMBEDDING_DIM, bias: bool = False) -> None:
        super().__init__()
        if n_bins < SMALLEST_SPECTRUM:
            fix = f"take segments of at least {SMALLEST_SPECTRUM} bins"
            raise ConfigError(f"a spectrum of {n_bins} bins is too short for the network", fix=fix)
        self.dim = dim
        self.convolutions = nn.Sequential(
            *_convolution(1, width, 256, 64, 96, bias=bias),
            *_convolution(width, width, 64, 32, 31, bias=bias),
            *_convolution(width, width, 16, 4, 6, bias=bias),
        )
        with torch.no_grad():
            n_flat = self.convolutions.eval()(torch.zeros(1, 1, n_bins)).numel()
        self.dense = nn.Sequential(*(layer for n in (n_flat, 128, 128, 128) for layer in _dense(n, 128, bias=bias)))
        self.embedding = nn.Linear(128, dim, bias=bias)
        self.train()

    def forward(self, spectrum: Tensor) -> Tensor:
        """(batch, n_bins) -> (batch, dim)."""
        flat = self.convolutions(spectrum.unsqueeze(1)).flatten(1)  # (batch, 1280) at full size
        embedding: Tensor = self.embedding(self.dense(flat))
        return embedding


def _convolution(n_in: int, n_out: int, kernel: int, stride: int, padding: int, *, bias: bool) -> list[nn.Module]:
    return [nn.Conv1d(n_in, n_out, kernel, stride, padding, bias=bias), batch_norm_1d(n_out, bias=bias), nn.ReLU()]


def _dense(n_in: int, n_out: int, *, bias: bool) -> list[nn.Module]:
    return [nn.Linear(n_in, n_out, bias=bias), batch_norm_1d(n_out, bias=bias), nn.ReLU()]


def batch_norm_1d(n: int, *, bias: bool = False) -> nn.BatchNorm1d:
    """Batch normalisation, without a trained shift unless `bias`."""
    layer = nn.BatchNorm1d(n)
    layer.bias.requires_grad_(bias)
    return layer


class TwoBranches(nn.Module, ABC):
    """How the embeddings of two branches become one; a network names its branches.

    Args:
        dims: lengths of the branches' embeddings.
        combine: ``concatenate``, or ``add`` (Table 17).

    Raises:
        ConfigError: embeddings of different lengths are to be added.
    """

    def __init__(self, dims: tuple[int, int], combine: Combination) -> None:
        super().__init__()
        if combine == "add" and dims[0] != dims[1]:
            fix = "give both branches the same dim, or concatenate them"
            raise ConfigError(f"embeddings of lengths {dims[0]} and {dims[1]} cannot be added", fix=fix)
        self.combination = combine
        self.dim = dims[0] if combine == "add" else sum(dims)

    @abstractmethod
    def image_embedding(self, image: Tensor) -> Tensor:
        """(batch, n_frames, n_bins) -> (batch, branch dim)."""

    @abstractmethod
    def spectrum_embedding(self, spectrum: Tensor) -> Tensor:
        """(batch, n_spectrum_bins) -> (batch, branch dim)."""

    def branches(self, image: Tensor, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, n_frames, n_bins), (batch, n_spectrum_bins) -> the branches' embeddings, each (batch, branch dim)."""
        return self.image_embedding(image), self.spectrum_embedding(spectrum)

    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        """Two embeddings (batch, branch dim) -> (batch, dim)."""
        return first + second if self.combination == "add" else torch.cat([first, second], dim=1)

    def forward(self, image: Tensor, spectrum: Tensor) -> Tensor:
        """(batch, n_frames, n_bins), (batch, n_spectrum_bins) -> (batch, dim)."""
        return self.combine(*self.branches(image, spectrum))


def branch_dim(branch: nn.Module) -> int:
    """Length of a branch's embedding; `EMBEDDING_DIM` for a network that does not say."""
    return int(getattr(branch, "dim", EMBEDDING_DIM))


class DualBranch(TwoBranches):
    """Spectrogram and spectrum branch, combined to (batch, 256) or (batch, 128).

    Args:
        spectrogram: branch of the image; the one of Table 15 when None.
        spectrum: branch of the spectrum; the one of Table 14 when None.
        combine: ``concatenate``, or ``add`` (Table 17).
        dim: of each branch that is not given, as are the arguments that follow.
        bias: bias terms in every layer (Table 16).
        n_frames: time frames of a segment.
        n_bins: frequency bins of its spectrogram.
        n_spectrum_bins: bins of its spectrum.

    Raises:
        ConfigError: the segment is too short, or embeddings of different lengths are to be added.
    """

    def __init__(
        self,
        spectrogram: nn.Module | None = None,
        spectrum: nn.Module | None = None,
        *,
        combine: Combination = "concatenate",
        dim: int = EMBEDDING_DIM,
        bias: bool = False,
        n_frames: int = 311,
        n_bins: int = 513,
        n_spectrum_bins: int = 80_000,
    ) -> None:
        spectrogram = spectrogram or SpectrogramBranch(n_frames, n_bins, dim=dim, bias=bias)
        spectrum = spectrum or SpectrumBranch(n_spectrum_bins, dim=dim, bias=bias)
        super().__init__((branch_dim(spectrogram), branch_dim(spectrum)), combine)
        self.spectrogram = spectrogram
        self.spectrum = spectrum

    def image_embedding(self, image: Tensor) -> Tensor:
        """(batch, n_frames, n_bins) -> (batch, branch dim)."""
        embedding: Tensor = self.spectrogram(image)
        return embedding

    def spectrum_embedding(self, spectrum: Tensor) -> Tensor:
        """(batch, n_spectrum_bins) -> (batch, branch dim)."""
        embedding: Tensor = self.spectrum(spectrum)
        return embedding
