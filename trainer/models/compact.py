"""A faster dual branch for small devices: log-mel image instead of the linear spectrogram, the same spectrum branch.

    log_mel  (311, n_mels) minus its mean --2-D ResNet (Table 15)--> 128 --\
                                                                            concatenated: 256
    spectrum (80000,) --------------------1-D CNN (Table 14)-------> 128 --/

About a fifth of the thesis network's work. The logarithm keeps quiet bands audible to the network, which matters when
the machine is weaker than the noise around it.
"""

from __future__ import annotations

from torch import Tensor, nn

from trainer.models.dual_branch import (
    EMBEDDING_DIM,
    Combination,
    SpectrogramBranch,
    SpectrumBranch,
    TwoBranches,
    branch_dim,
)

INPUT_SCALE_DB = 10.0
SPECTRUM_WIDTH = 64
"""Channels of the spectrum branch; half of Table 14."""


class LogMelBranch(nn.Module):
    """The ResNet of Table 15 on a log-mel image of zero mean.

    Args:
        n_frames: time frames.
        n_mels: bands.
        width: channels of the first stage.
        dim: of the embedding.
        bias: bias terms in every layer (Table 16).

    Raises:
        ConfigError: the image is too small for the strides.
    """

    def __init__(
        self, n_frames: int = 311, n_mels: int = 128, width: int = 16, *, dim: int = EMBEDDING_DIM, bias: bool = False
    ) -> None:
        super().__init__()
        self.dim = dim
        self.resnet = SpectrogramBranch(n_frames, n_mels, width, dim=dim, bias=bias)

    def forward(self, log_mel: Tensor) -> Tensor:
        """(batch, n_frames, n_mels) dB -> (batch, dim)."""
        centred = (log_mel - log_mel.mean(dim=(1, 2), keepdim=True)) / INPUT_SCALE_DB
        embedding: Tensor = self.resnet(centred)
        return embedding


class CompactDualBranch(TwoBranches):
    """Log-mel and spectrum branch, combined to (batch, 256) or (batch, 128).

    Args:
        log_mel: branch of the image; `LogMelBranch` when None.
        spectrum: branch of the spectrum; the one of Table 14 at half its width when None.
        combine: ``concatenate``, or ``add`` (Table 17).
        dim: of each branch that is not given, as are the arguments that follow.
        bias: bias terms in every layer (Table 16).
        n_frames: time frames of a segment.
        n_mels: bands of its log-mel image.
        n_spectrum_bins: bins of its spectrum.

    Raises:
        ConfigError: the segment is too short, or embeddings of different lengths are to be added.
    """

    def __init__(
        self,
        log_mel: nn.Module | None = None,
        spectrum: nn.Module | None = None,
        *,
        combine: Combination = "concatenate",
        dim: int = EMBEDDING_DIM,
        bias: bool = False,
        n_frames: int = 311,
        n_mels: int = 128,
        n_spectrum_bins: int = 80_000,
    ) -> None:
        log_mel = log_mel or LogMelBranch(n_frames, n_mels, dim=dim, bias=bias)
        spectrum = spectrum or SpectrumBranch(n_spectrum_bins, SPECTRUM_WIDTH, dim=dim, bias=bias)
        super().__init__((branch_dim(log_mel), branch_dim(spectrum)), combine)
        self.log_mel = log_mel
        self.spectrum = spectrum

    def image_embedding(self, image: Tensor) -> Tensor:
        """(batch, n_frames, n_mels) dB -> (batch, branch dim)."""
        embedding: Tensor = self.log_mel(image)
        return embedding

    def spectrum_embedding(self, spectrum: Tensor) -> Tensor:
        """(batch, n_spectrum_bins) -> (batch, branch dim)."""
        embedding: Tensor = self.spectrum(spectrum)
        return embedding
