"""Two-dimensional AdaCos (key publication 2 of the thesis, section 2.1): AdaCos for embeddings with a time axis.

A keyword has a set of centres, and every frame of an embedding may choose the best of them; only this cosine differs
from AdaCos. It is TACos's similarity with a single position.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.losses.adacos import adacos_loss, adaptive_scale
from trainer.losses.running_scale import RunningScale
from trainer.losses.subcluster_adacos import initial_scale
from trainer.losses.tacos import tacos_similarity
from trainer.precision import in_float32


def framewise_cosines(embeddings: Tensor, centres: Tensor) -> Tensor:
    """Mean over the frames of the best centre's cosine (key publication 2, eq. 1).

    Args:
        embeddings: (batch, n_frames, dim).
        centres: (n_keywords, n_centres, dim).

    Returns:
        (batch, n_keywords).
    """
    return tacos_similarity(embeddings, centres.unsqueeze(1)).squeeze(2)


class TwoDimensionalAdaCos(nn.Module):
    """The loss with its trained centres and its scale.

    Args:
        n_keywords: number of classes, at least three.
        n_centres: embeddings learned per keyword, T in the paper.
        dim: of a frame's embedding.
    """

    def __init__(self, n_keywords: int, n_centres: int, dim: int) -> None:
        super().__init__()
        if n_keywords < 3:
            raise ValueError("two-dimensional AdaCos needs at least three keywords")
        self.centres = nn.Parameter(torch.randn(n_keywords, n_centres, dim))
        self.scale = RunningScale(initial_scale(n_keywords, 1), adaptive_scale)

    @in_float32
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(batch, n_frames, dim), (batch, n_keywords) -> scalar; in training the scale is updated first."""
        cosines = framewise_cosines(embeddings, self.centres)
        return adacos_loss(cosines, labels, self.scale(cosines, labels))
