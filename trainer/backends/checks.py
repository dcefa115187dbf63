"""Parameters and vectors as the back ends accept them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike

from edged.errors import ConfigError
from edged.flow import Float64Array
from edged.score.distances import unit

MAX_COVARIANCE_DIM = 4096
"""A full covariance of more dimensions takes gigabytes and minutes."""


def at_least(name: str, value: float, minimum: float) -> None:
    """Refuse a parameter below its minimum.

    Raises:
        ConfigError: it is, or it is not a number.
    """
    if not minimum <= value < np.inf:
        raise ConfigError(f"'{name}' is {value}", fix=f"give a finite number of at least {minimum:g}")


def above_zero(name: str, value: float) -> None:
    """Refuse a parameter that is not positive.

    Raises:
        ConfigError: zero, negative, infinite or not a number.
    """
    if not 0.0 < value < np.inf:
        raise ConfigError(f"'{name}' is {value}", fix="give a finite number above 0")


def one_of(name: str, value: str, known: Collection[str]) -> None:
    """Refuse a parameter outside its choices.

    Raises:
        ConfigError: naming the choices.
    """
    if value not in known:
        raise ConfigError(f"'{name}' is '{value}'", fix=f"one of {', '.join(known)}")


def fits_covariance(dim: int) -> None:
    """Refuse vectors too long for a full covariance.

    Raises:
        ConfigError: more than `MAX_COVARIANCE_DIM` dimensions.
    """
    if dim > MAX_COVARIANCE_DIM:
        raise ConfigError(
            f"a full covariance of {dim} dimensions is too large",
            fix=f"take 'gaussian-diagonal' or vectors of at most {MAX_COVARIANCE_DIM} dimensions",
        )


def rows(vectors: ArrayLike, dim: int, *, unit_length: bool = False) -> Float64Array:
    """Float64 (n, dim), scaled to length one if asked; zero rows stay zero.

    Raises:
        ValueError: another shape.
    """
    x = np.asarray(vectors, np.float64)
    if x.ndim != 2 or x.shape[1] != dim:
        raise ValueError(f"expected rows of {dim} dimensions, not an array of shape {x.shape}")
    return unit(x) if unit_length else x
