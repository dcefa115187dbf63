"""The network of the thesis's sliding-window baseline (section 6.3.7): table 30, but one vector per segment."""

from __future__ import annotations

from torch import Tensor, nn

from trainer.models.temporal_resnet import STAGES, residual_stages


class SlidingWindowNet(nn.Module):
    """Table 30 with the maxima of its blocks over time as well, flattened before the linear embedding.

    Args:
        dim: of the embedding.
        n_frames: of a segment, a multiple of 8.
        width: channels of the first stage.
    """

    def __init__(self, dim: int = 128, dropout: float = 0.2, n_frames: int = 16, width: int = 16) -> None:
        super().__init__()
        shrink = 2 ** (STAGES - 1)
        if n_frames % shrink:
            raise ValueError(f"{n_frames} frames cannot be halved {STAGES - 1} times")
        self.stages = residual_stages(width, (2, 2), dropout)
        self.embed = nn.Linear((width << (STAGES - 1)) * (n_frames // shrink), dim)

    def forward(self, frames: Tensor) -> Tensor:
        """(batch, n_frames, 64) -> (batch, dim)."""
        hidden = self.stages(frames.unsqueeze(1)).amax(dim=3)  # (batch, 8 * width, n_frames / 8)
        result: Tensor = self.embed(hidden.flatten(1))
        return result
