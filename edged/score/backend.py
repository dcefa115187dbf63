"""What every back end promises: fitted once at enrolment, stored as arrays, never refitted at start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edged.errors import StateError
from edged.flow import Float32Array, Float64Array
from edged.score.references import References

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


def rows_left_out(clips: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """Bool (n,) for every fold: the rows left out together. Empty if there is but one clip."""
    folds = clip_folds(clips)
    return [folds == fold for fold in range(folds.max() + 1)] if folds.max() else []


def leave_clips_out(
    references: References, distance_without: Callable[[References, Float32Array], Float64Array]
) -> Float64Array:
    """Every clip judged by what is fitted to the others: (n_references,), NaN without other clips.

    Args:
        references: of one representation.
        distance_without: takes the others and the rows of the clip (n, dim); gives their distances (n,).
    """
    result = np.full(len(references), np.nan)
    for own in rows_left_out(references.clips):
        result[own] = distance_without(references.select(~own), references.vectors[own])
    return result


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
