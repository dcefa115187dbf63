"""Embedding rows at four bits a value: minutes of background in a bundle of a few megabytes.

A row is scaled by its largest value to whole numbers from -7 to 7, two of them in a byte. The error is as good as
independent from value to value and averages out in a distance of tens of rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float32Array

LARGEST = 7
_ZERO = 8


def pack_rows(rows: Float32Array) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """Rows (n, dim), dim even -> (packed (n, dim / 2), scales (n,)).

    Raises:
        ValueError: an odd number of values, or values that are not finite.
    """
    values = np.asarray(rows, dtype=np.float32)
    if values.shape[1] % 2 or not np.isfinite(values).all():
        raise ValueError("rows of an even number of finite values are needed")
    scales = (np.abs(values).max(axis=1, initial=0.0) / LARGEST).astype(np.float16)
    whole = np.rint(values / np.maximum(scales.astype(np.float32), np.float32(1e-12))[:, np.newaxis])
    nibbles = (np.clip(whole, -LARGEST, LARGEST) + _ZERO).astype(np.uint8)
    return nibbles[:, 0::2] << 4 | nibbles[:, 1::2], scales


def unpack_rows(packed: NDArray[np.uint8], scales: NDArray[np.float16]) -> Float32Array:
    """The rows again, float32 (n, dim), as near as four bits allow."""
    rows = np.empty((len(packed), 2 * packed.shape[1]), dtype=np.float32)
    rows[:, 0::2] = (packed >> 4).astype(np.int8) - _ZERO
    rows[:, 1::2] = (packed & 0x0F).astype(np.int8) - _ZERO
    rows *= scales.astype(np.float32)[:, np.newaxis]
    return rows
