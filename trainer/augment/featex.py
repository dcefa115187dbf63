"""Feature exchange, FeatEx (thesis 5.7.1, eq. 62): do the embeddings of the two branches belong together?"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.augment.exchange import draw_exchanged, draw_partners, tripled


def exchange_features(
    first: Tensor,
    second: Tensor,
    labels: Tensor,
    *,
    probability: float = 0.5,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Give a share of the batch the second branch's embedding of another sample (Definition 5.6).

    Args:
        first: (batch, d1), embeddings of the first branch.
        second: (batch, d2), embeddings of the second branch.
        labels: (batch, n), one-hot or soft; after StatEx n is three times the number of classes, so that nine times as
            many result (5.7.2).
        probability: share of the batch that is exchanged; the rest passes unchanged.
        generator: of the random numbers; torch's own when None.

    Returns:
        first, as it came; second, with the partner's row where exchanged; labels (batch, 3n), see `tripled`.
    """
    partners = draw_partners(len(first), first.device, generator)
    exchanged = draw_exchanged(partners, probability, generator)
    changed = torch.where(exchanged[:, None], second[partners], second)
    return first, changed, tripled(labels, exchanged, labels[partners])
