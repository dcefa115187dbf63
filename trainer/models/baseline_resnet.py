"""The baseline embedder (thesis 3.2.2, Table 4): one modified ResNet on standardised log-mel images.

With biases it has the 766,944 parameters of the published model (772,192 with 41 class centres); the default goes
without, like all anomaly networks here, so that one-class losses may train it, too.
"""

from __future__ import annotations

from torch import Tensor

from trainer.models.dual_branch import EMBEDDING_DIM
from trainer.models.residual import ResidualNetwork, ResidualStyle
from trainer.models.standardisation import Standardised


class BaselineResNet(Standardised, ResidualNetwork):
    """Table 4 on log-mel images, minus the temporal mean and divided by the temporal deviation of the training data.

    Args:
        n_frames: time frames of the input (313).
        n_mels: bands of the input (128).
        dim: of the embedding.
        bias: bias terms in every layer.

    Raises:
        ConfigError: the image is too small for the strides.
    """

    def __init__(self, n_frames: int = 313, n_mels: int = 128, *, dim: int = EMBEDDING_DIM, bias: bool = False) -> None:
        style = ResidualStyle(slope=0.1, shortcut_norm=False, bias=bias)
        super().__init__(n_frames, n_mels, 16, dim=dim, style=style)
        self.register_statistics(n_mels)

    def forward(self, image: Tensor) -> Tensor:
        """(batch, n_frames, n_mels) dB -> (batch, dim)."""
        return super().forward((image - self.mean) / self.std)
