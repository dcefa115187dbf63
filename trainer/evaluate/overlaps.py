"""How well labels with times agree with the truth, as figure 2 of key publication 2 shows it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edged.flow import Float64Array

Span = tuple[float, float]


def overlap_shares(found: Sequence[Span], truth: Sequence[Span]) -> Float64Array:
    """What pairs have in common as shares of the true and of the found stretch: float64 (n, 2).

    Args:
        found: onset and offset in seconds, each after the other.
        truth: the same words in the same order.
    """
    pairs = np.array([[*f, *t] for f, t in zip(found, truth, strict=True)], dtype=np.float64).reshape(-1, 4)
    found_on, found_off, true_on, true_off = pairs.T
    shared = np.maximum(0.0, np.minimum(found_off, true_off) - np.maximum(found_on, true_on))
    return np.stack([shared / (true_off - true_on), shared / (found_off - found_on)], axis=1)


def share_overlapping(shares: Float64Array, *, of_truth: float, of_result: float) -> float:
    """Share of the stretches whose overlap is at least so much of the truth and of the result: a point of figure 2."""
    return float(np.mean((shares[:, 0] >= of_truth) & (shares[:, 1] >= of_result)))
