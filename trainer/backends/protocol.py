"""What every back end of the comparisons promises."""

from __future__ import annotations

from typing import Protocol

from numpy.typing import ArrayLike

from edged.flow import Float64Array


class FittedBackend(Protocol):
    """Distance of a vector to the references it was fitted to.

    Low = normal, higher = more anomalous. Distances proper are 0 or more; back ends that are minus a log-likelihood or
    a log-likelihood ratio may be negative, and only their order and their differences mean something.
    """

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """(n, dim) -> float64 (n,).

        Raises:
            ValueError: not rows of the references' dimension.
        """
