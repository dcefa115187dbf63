"""The thesis's keyword network (section 6.3.4, table 30): a residual network that keeps the time axis."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut; the stride applies to frequency only."""

    def __init__(self, n_in: int, n_out: int, frequency_stride: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride=(1, frequency_stride), padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.LeakyReLU(0.1),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        same = n_in == n_out and frequency_stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(n_in, n_out, 1, stride=(1, frequency_stride), bias=False)
        self.out = nn.Sequential(nn.LeakyReLU(0.1), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, time, bands) -> (batch, n_out, time, bands / stride)."""
        result: Tensor = self.out(self.body(x) + self.shortcut(x))
        return result


class TemporalResNet(nn.Module):
    """Table 30: four stages of two residual blocks, maximum over frequency, linear embedding; about 0.7 M parameters.

    Args:
        dim: of the embedding.
        crop: frames (left, right) that are context only and cut off the output.
    """

    def __init__(self, dim: int = 128, dropout: float = 0.2, crop: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        n_in = 1
        for n_out, stride in ((16, 1), (32, 2), (64, 2), (128, 2)):
            stages += [ResidualBlock(n_in, n_out, stride, dropout), ResidualBlock(n_out, n_out, 1, dropout)]
            n_in = n_out
        self.stages = nn.Sequential(*stages)
        self.embed = nn.Linear(128, dim)
        self.crop = crop

    def forward(self, frames: Tensor) -> Tensor:
        """(batch, time, 64) -> (batch, time - crop, dim)."""
        hidden = self.stages(frames.unsqueeze(1)).amax(dim=3)  # (batch, 128, time)
        left, right = self.crop
        hidden = hidden[:, :, left : hidden.shape[2] - right]
        result: Tensor = self.embed(hidden.transpose(1, 2))
        return result
