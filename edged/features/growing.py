"""The end of a growing array: what comes is put beside it, and joined only when somebody looks.

A stream brings a block each 40 ms, and a segment looks back over ten seconds: to join at every block would copy those
ten seconds again and again.
"""

from __future__ import annotations

import numpy as np

from edged.flow import Float32Array


class Growing:
    """Rows that are added at the end and dropped at the beginning.

    Args:
        empty: float32 (0, ...): what a row is like.

    >>> tail = Growing(np.empty(0, np.float32))
    >>> tail.append(np.array([1, 2], np.float32))
    >>> tail.append(np.array([3], np.float32))
    >>> tail.drop(1)
    >>> len(tail), tail.joined().tolist()
    (2, [2.0, 3.0])
    """

    def __init__(self, empty: Float32Array) -> None:
        self._pieces = [empty]
        self._n_rows = len(empty)

    def __len__(self) -> int:
        return self._n_rows

    def append(self, rows: Float32Array) -> None:
        """Add rows; they are not copied, so they must not change."""
        if len(rows):
            self._pieces.append(rows)
            self._n_rows += len(rows)

    def joined(self) -> Float32Array:
        """All rows, to be read only; appending and dropping leave it as it is."""
        if len(self._pieces) > 1:
            self._pieces = [np.concatenate(self._pieces)]
        return self._pieces[0]

    def drop(self, n_rows: int) -> None:
        """Forget the oldest rows."""
        rest = self.joined()[n_rows:]
        self._pieces, self._n_rows = [rest], len(rest)
