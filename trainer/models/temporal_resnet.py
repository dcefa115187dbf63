"""The thesis's keyword network (section 6.3.4, table 30): a residual network that keeps the time axis."""

from __future__ import annotations

from torch import Tensor, nn

STAGES = 4


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut, behind a maximum over (time, frequency) where the block makes less of them.

    Args:
        pool: frames and bands that become one; (1, 1) keeps the size.
    """

    def __init__(self, n_in: int, n_out: int, pool: tuple[int, int], dropout: float) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(pool) if max(pool) > 1 else nn.Identity()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.LeakyReLU(0.1),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut = nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1, bias=False)
        self.out = nn.Sequential(nn.LeakyReLU(0.1), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, time, bands) -> (batch, n_out, time / pool, bands / pool)."""
        pooled = self.pool(x)
        result: Tensor = self.out(self.body(pooled) + self.shortcut(pooled))
        return result


def residual_stages(width: int, pool: tuple[int, int], dropout: float) -> nn.Sequential:
    """Four stages of two blocks: (batch, 1, time, bands) -> (batch, 8 * width, time / pool^3, bands / pool^3).

    Args:
        width: channels of the first stage; each further one has twice as many, behind one maximum over `pool`.
    """
    blocks: list[nn.Module] = []
    n_in = 1
    for stage in range(STAGES):
        n_out = width << stage
        blocks += [
            ResidualBlock(n_in, n_out, pool if stage else (1, 1), dropout),
            ResidualBlock(n_out, n_out, (1, 1), dropout),
        ]
        n_in = n_out
    return nn.Sequential(*blocks)


class TemporalResNet(nn.Module):
    """Table 30: four stages of two residual blocks, maximum over frequency, linear embedding; 0.71 M parameters.

    The printed table gives the size reductions as strides of 1x2, the text as a maximum that leaves the time axis
    alone; a maximum it is, which has the same sizes and parameters.

    Args:
        dim: of the embedding.
        crop: frames (left, right) that are context only and cut off the output.
        width: channels of the first stage, 16 in the thesis.
    """

    def __init__(self, dim: int = 128, dropout: float = 0.2, crop: tuple[int, int] = (0, 0), width: int = 16) -> None:
        super().__init__()
        self.stages = residual_stages(width, (1, 2), dropout)
        self.embed = nn.Linear(width << (STAGES - 1), dim)
        self.crop = crop

    def forward(self, frames: Tensor) -> Tensor:
        """(batch, time, 64) -> (batch, time - crop, dim)."""
        hidden = self.stages(frames.unsqueeze(1)).amax(dim=3)  # (batch, 128, time)
        left, right = self.crop
        hidden = hidden[:, :, left : hidden.shape[2] - right]
        result: Tensor = self.embed(hidden.transpose(1, 2))
        return result
