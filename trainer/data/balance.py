"""Sampling weights against imbalanced classes: ten clips are heard as often as a thousand, within limits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array


def class_weights(labels: Sequence[str] | Sequence[int] | NDArray[np.int64], cap: float = 10.0) -> Float64Array:
    """One weight per clip for torch's WeightedRandomSampler: inverse class frequency, mean 1.

    Args:
        labels: class of every clip, (n,).
        cap: how much more often a clip may be drawn than one of the largest class; repeating ten clips a hundred times
            over would only teach them by heart.

    Returns:
        float64 (n,).

    Raises:
        ValueError: `cap` below 1.

    >>> class_weights(["a", "a", "a", "b"]).tolist()
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0]
    """
    if not cap >= 1.0:
        raise ValueError(f"cap {cap} is below 1")
    if len(labels) == 0:
        return np.zeros(0)
    _, classes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    weights = np.minimum(counts.max() / counts, cap)[classes]
    return np.asarray(weights / weights.mean(), np.float64)
