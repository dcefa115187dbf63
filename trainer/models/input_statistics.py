"""Input statistics in the place of a learned embedding (thesis 3.4.6, Table 9): nothing to train."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn


class InputStatistics(nn.Module):
    """Temporal mean or maximum of log-mel images; a network without parameters.

    Args:
        statistic: ``mean`` finds a changed tone, ``maximum`` changed strikes.
        n_mels: bands.
    """

    def __init__(self, statistic: Literal["mean", "maximum"], n_mels: int = 128) -> None:
        super().__init__()
        self.statistic = statistic
        self.dim = n_mels

    def forward(self, log_mel: Tensor) -> Tensor:
        """(batch, n_frames, n_mels) dB -> (batch, n_mels) dB."""
        return log_mel.mean(dim=1) if self.statistic == "mean" else log_mel.amax(dim=1)
