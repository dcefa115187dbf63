"""The shallow classifier on embeddings that were trained elsewhere (thesis 5.5.1).

    embedding (dim,) -> batch norm -> 512 -> 128 -> dropout -> 128

No bias terms anywhere (batch normalisation has no trained shift); the loss projects onto the unit sphere.
"""

from __future__ import annotations

from torch import Tensor, nn

from trainer.models.dual_branch import batch_norm_1d

DIM = 128
DROPOUT = 0.5


class ShallowClassifier(nn.Module):
    """Three layers; a sequence of embeddings gives the mean of what comes out for each.

    Args:
        n_inputs: values of the embedding it is put on.
    """

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            batch_norm_1d(n_inputs),
            nn.Linear(n_inputs, 512, bias=False),
            batch_norm_1d(512),
            nn.ReLU(),
            nn.Linear(512, 128, bias=False),
            batch_norm_1d(128),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(128, DIM, bias=False),
        )

    @property
    def dim(self) -> int:
        """Length of the embedding."""
        return DIM

    def forward(self, vectors: Tensor) -> Tensor:
        """(batch, n_inputs) or (batch, time, n_inputs) -> (batch, 128), the mean over time of the latter."""
        embeddings: Tensor = self.layers(vectors.flatten(0, -2))  # (batch * time, 128)
        return embeddings if vectors.dim() == 2 else embeddings.view(*vectors.shape[:2], DIM).mean(dim=1)
