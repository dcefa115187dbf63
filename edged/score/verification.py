"""Verification of matches against counter-examples: words that sound like an enrolled one and are not meant.

The rows of a matched stretch are warped once more, onto the templates of the word and onto those of each of its
counter-examples, both measured in what ordinary other speech reaches. The match stands if the word is the nearest. That
looks at the stretch alone, so it adds no delay, costs nothing between matches, and any cutting of the stream gives the
same.
"""

from __future__ import annotations

import numpy as np

from edged.flow import Float32Array
from edged.score.dtw import StreamingDtw
from edged.score.keyword import KeywordModel

LEAD_ROWS = 4
"""Before the match: a counter-example may begin a little earlier than what resembles the word in it."""
_SEPARATOR = "\0"


def counter_key(word: str, name: str) -> str:
    """The name of a counter-example in a model; no enrolled word has such a one."""
    return f"{word}{_SEPARATOR}{name}"


class Verification:
    """Compares matches with the counter-examples of their words.

    Args:
        model: words that have counter-examples, and those under their `counter_key`.
    """

    def __init__(self, model: KeywordModel) -> None:
        self._model = model
        self._dtw = StreamingDtw(model.templates)
        self._counters = {
            word: [place for place, key in enumerate(model.words) if key.startswith(counter_key(word, ""))]
            for word in model.words
            if _SEPARATOR not in word
        }

    def upholds(self, word: str, rows: Float32Array) -> bool:
        """Whether a stretch, float32 (n_rows, dim), is at least as near to the word as to every counter-example."""
        counters = self._counters.get(word)
        if not counters or not len(rows):
            return True
        self._dtw.reset()
        distances, _ = self._model.combine(self._dtw.push(rows))
        nearest = distances.min(axis=0)
        return bool(nearest[self._model.words.index(word)] <= nearest[counters].min())


class RowMemory:
    """The last rows of a stream, numbered from the last reset on.

    Args:
        n_kept: at least so many.
    """

    def __init__(self, n_kept: int) -> None:
        self._n_kept = n_kept
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._parts: list[Float32Array] = []
        self._first = self._next = 0

    def __len__(self) -> int:
        """Rows since the last reset, those that are forgotten among them."""
        return self._next

    def add(self, rows: Float32Array) -> None:
        """Append rows, (n_rows, dim)."""
        self._parts.append(rows.copy())
        self._next += len(rows)
        while self._next - self._first - len(self._parts[0]) >= self._n_kept:
            self._first += len(self._parts.pop(0))

    def rows(self, first: int, last: int) -> Float32Array:
        """Rows ``first`` to ``last`` (exclusive), as far as they are remembered."""
        if not self._parts:
            return np.zeros((0, 1), np.float32)
        return np.concatenate(self._parts)[max(0, first - self._first) : max(0, last - self._first)]
