"""Standardisation of log-mel images with the temporal statistics of the normal training data (thesis 3.2.2)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from edged.errors import AudioError, ConfigError

SMALLEST_STD_DB = 1e-3
"""A band that deviates less does not vary; nothing may be divided by so little."""


class Standardised(nn.Module):
    """A network that keeps the statistics its input is standardised with: buffers `mean` and `std`, (n_mels,), dB."""

    mean: Tensor
    std: Tensor

    def register_statistics(self, n_mels: int) -> None:
        """Until they are fitted, inputs pass unchanged."""
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("std", torch.ones(n_mels))

    def fit_standardisation(self, batches: Iterable[Tensor]) -> None:
        """Take mean and standard deviation of every band over all frames of the normal training data.

        Args:
            batches: float (batch, n_frames, n_mels), dB; read once.

        Raises:
            ConfigError: images of another number of bands.
            AudioError: no frames, or values that are not finite.
        """
        mean, std = band_statistics(batches, len(self.mean))
        self.mean.copy_(mean)
        self.std.copy_(std)


def band_statistics(batches: Iterable[Tensor], n_mels: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every band over all frames.

    Args:
        batches: float (batch, n_frames, n_mels), dB; read once, one at a time.
        n_mels: bands.

    Returns:
        float64 (n_mels,) each, dB; the deviation of a band that does not vary is one.

    Raises:
        ConfigError: images of another number of bands.
        AudioError: no frames, or values that are not finite.
    """
    n_frames, total, squares = 0, torch.zeros(n_mels, dtype=torch.float64), torch.zeros(n_mels, dtype=torch.float64)
    for batch in batches:
        frames = _frames(batch, n_mels)
        n_frames += len(frames)
        total += frames.sum(dim=0)
        squares += frames.square().sum(dim=0)
    if not n_frames or not bool(torch.isfinite(squares).all()):
        what = "values that are not finite" if n_frames else "no frames"
        raise AudioError(f"the training images hold {what}", fix="check the recordings they come from")
    mean = total / n_frames
    std = (squares / n_frames - mean.square()).clamp(min=0.0).sqrt()
    return mean, torch.where(std < SMALLEST_STD_DB, 1.0, std)


def _frames(batch: Tensor, n_mels: int) -> Tensor:
    """(batch, n_frames, n_mels) -> float64 (batch * n_frames, n_mels)."""
    if batch.ndim != 3 or batch.shape[2] != n_mels:
        fix = f"take images (batch, n_frames, {n_mels}), or build the network for their bands"
        raise ConfigError(f"training images have the shape {tuple(batch.shape)}", fix=fix)
    return batch.detach().flatten(0, 1).to("cpu", torch.float64)
