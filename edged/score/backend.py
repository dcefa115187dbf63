"""What every back end promises: fitted once at enrolment, stored as arrays, never refitted at start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edged.errors import StateError
from edged.flow import Float64Array

MAX_FOLDS = 40
"""More clips than this are left out in groups, which bounds the time of enrolment and errs on the careful side."""

Arrays = Mapping[str, NDArray[np.generic]]


class Backend(Protocol):
    """Distance of a vector to what is normal; 0 = identical."""

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """(n, dim) -> (n,)."""

    def nearest(self, vectors: ArrayLike) -> NDArray[np.int64]:
        """Row of the closest reference for each vector: (n, dim) -> (n,)."""

    def leave_clip_out(self) -> Float64Array:
        """(n_references,): each reference's distance to the others, all rows of its own clip left out.

        NaN where nothing else is left to compare with.
        """

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything fitted, for storage; `from_arrays` gives back the same bits."""


def clip_folds(clips: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the fold in which each row is left out: a clip's rows always together.

    >>> clip_folds(np.array([7, 7, 9])).tolist()
    [0, 0, 1]
    """
    _, number = np.unique(clips, return_inverse=True)
    return np.asarray(number % MAX_FOLDS, np.int64)


def stored(arrays: Arrays, key: str, n_dims: int) -> NDArray[np.generic]:
    """One array of a stored back end.

    Raises:
        StateError: absent, of the wrong rank, or not finite.
    """
    value = arrays.get(key)
    if value is None or value.ndim != n_dims:
        raise StateError(f"a stored back end lacks the array '{key}' of rank {n_dims}", fix="enrol again")
    if np.issubdtype(value.dtype, np.floating) and key != "left_out" and not np.isfinite(value).all():
        raise StateError(f"a stored back end's array '{key}' is not finite", fix="enrol again")
    return value
