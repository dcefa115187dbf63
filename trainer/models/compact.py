"""A faster dual branch for small devices: log-mel image instead of the linear spectrogram, the same spectrum branch.

    log_mel  (311, n_mels) minus its mean --2-D ResNet (Table 15)--> 128 --\
                                                                            concatenated: 256
    spectrum (80000,) --------------------1-D CNN (Table 14)-------> 128 --/

About a fifth of the thesis network's work. The logarithm keeps quiet bands audible to the network, which matters when
the machine is weaker than the noise around it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.models.dual_branch import EMBEDDING_DIM, SpectrogramBranch, SpectrumBranch

INPUT_SCALE_DB = 10.0


class LogMelBranch(nn.Module):
    """The ResNet of Table 15 on a log-mel image of zero mean.

    Args:
        n_frames: time frames.
        n_mels: bands.
        width: channels of the first stage.
    """

    def __init__(self, n_frames: int = 311, n_mels: int = 128, width: int = 16) -> None:
        super().__init__()
        self.resnet = SpectrogramBranch(n_frames, n_mels, width)

    def forward(self, log_mel: Tensor) -> Tensor:
        """(batch, n_frames, n_mels) dB -> (batch, 128)."""
        centred = (log_mel - log_mel.mean(dim=(1, 2), keepdim=True)) / INPUT_SCALE_DB
        embedding: Tensor = self.resnet(centred)
        return embedding


class CompactDualBranch(nn.Module):
    """Log-mel and spectrum branch, concatenated to (batch, 256)."""

    def __init__(self, log_mel: nn.Module | None = None, spectrum: nn.Module | None = None) -> None:
        super().__init__()
        self.log_mel = log_mel or LogMelBranch()
        self.spectrum = spectrum or SpectrumBranch(width=64)

    @property
    def dim(self) -> int:
        """Length of the embedding."""
        return 2 * EMBEDDING_DIM

    def forward(self, log_mel: Tensor, spectrum: Tensor) -> Tensor:
        """(batch, n_frames, n_mels), (batch, 80000) -> (batch, 256)."""
        return torch.cat([self.log_mel(log_mel), self.spectrum(spectrum)], dim=1)
