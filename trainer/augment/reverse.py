"""Time-reversed segments: speech that is no word (thesis section 6.3.5)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def reverse_some(batch: Mapping[str, Tensor], which: Tensor) -> dict[str, Tensor]:
    """Reverse everything along time (axis 1) for the rows ``which`` (bool (batch,)).

    >>> reverse_some({"x": torch.tensor([[1, 2], [3, 4]])}, torch.tensor([False, True]))["x"].tolist()
    [[1, 2], [4, 3]]
    """
    return {
        name: torch.where(which.view(-1, *([1] * (value.ndim - 1))), value.flip(1), value)
        for name, value in batch.items()
    }
