"""The dense autoencoder that anomaly detectors are held against (thesis 2.3.1; the baseline of DCASE 2020 task 2).

    five log-mel frames (640,) --4 x 128--> 8 --4 x 128--> (640,)

What it learned to reconstruct is normal; the mean squared error of the rest is its anomaly score. That of DCASE starts
from raw decibels; after `fit_standardisation` it starts from bands of mean zero, needs a tenth of the steps to the same
error, and states it in dB squared all the same.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from edged.errors import ConfigError
from trainer.models.standardisation import Standardised


class Autoencoder(Standardised):
    """Reconstructs a few consecutive log-mel frames; batch normalisation and ReLU after all layers but the last.

    It keeps its biases: the reconstruction itself rules out a trivial solution.

    Args:
        n_mels: bands.
        n_stacked: consecutive frames reconstructed together.
        width: of the hidden layers, four on each side of the code.
        n_code: values of the code; fewer than the input, so that the identity cannot be learned.
    """

    def __init__(self, n_mels: int = 128, n_stacked: int = 5, width: int = 128, n_code: int = 8) -> None:
        super().__init__()
        self.n_stacked = n_stacked
        n_input = n_mels * n_stacked
        sizes = (n_input, *(width,) * 4, n_code, *(width,) * 4)
        self.layers = nn.Sequential(*(_dense(n_in, n_out) for n_in, n_out in pairwise(sizes)))
        self.output = nn.Linear(width, n_input)
        self.register_statistics(n_mels)

    def reconstruction(self, frames: Tensor) -> Tensor:
        """Stacked frames (n, n_stacked * n_mels), dB -> the same shape."""
        mean, std = self.mean.repeat(self.n_stacked), self.std.repeat(self.n_stacked)
        result: Tensor = self.output(self.layers((frames - mean) / std)) * std + mean
        return result

    def stacked(self, log_mel: Tensor) -> Tensor:
        """Every run of consecutive frames as one vector.

        Args:
            log_mel: (batch, n_frames, n_mels), dB.

        Returns:
            (batch, n_frames - n_stacked + 1, n_stacked * n_mels).

        Raises:
            ConfigError: fewer frames than are reconstructed together.
        """
        n_vectors = int(log_mel.shape[1]) - self.n_stacked + 1
        if n_vectors < 1:
            fix = f"take segments of at least {self.n_stacked} frames"
            raise ConfigError(f"{int(log_mel.shape[1])} frames are too few for the autoencoder", fix=fix)
        return torch.cat([log_mel[:, i : i + n_vectors] for i in range(self.n_stacked)], dim=2)

    def forward(self, log_mel: Tensor) -> Tensor:
        """(batch, n_frames, n_mels) dB -> anomaly score (batch,): mean squared reconstruction error, dB squared."""
        stacked = self.stacked(log_mel)
        frames = stacked.flatten(0, 1)  # (batch * n_vectors, n_stacked * n_mels)
        errors = (self.reconstruction(frames) - frames).square().mean(dim=1)
        return errors.view(-1, int(stacked.shape[1])).mean(dim=1)

    def reconstruction_loss(self, log_mel: Tensor) -> Tensor:
        """Definition 2.2: (batch, n_frames, n_mels) dB -> scalar."""
        loss: Tensor = self(log_mel).mean()
        return loss


def _dense(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU())
