"""From what the DTW says per template to what is said per word: the best three fifths of its templates count."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array
from edged.score.dtw import DtwTrace, Int64Array


@dataclass(frozen=True)
class WordGroups:
    """The templates of each word, side by side.

    Attributes:
        templates: int64 (n_words, n_most), positions of a word's templates; beyond its own, that of a column of
            infinity behind all templates.
        ignored: bool (n_words, n_most), those of a word's distances in ascending order that are not averaged.
        n_counted: float64 (n_words,), how many are.
    """

    templates: Int64Array
    ignored: NDArray[np.bool_]
    n_counted: Float64Array

    @classmethod
    def of(cls, word_of_template: Int64Array, n_words: int) -> WordGroups:
        """Each word has at least one template."""
        return _groups(np.asarray(word_of_template, dtype=np.int64).tobytes(), n_words)

    def combine(self, trace: DtwTrace) -> tuple[Float64Array, Int64Array]:
        """Mean distance of each word's best templates, and where the path of its very best began.

        Returns:
            float64 (n_frames, n_words), inf until enough of them can end; int64 (n_frames, n_words).
        """
        n_frames, n_templates = trace.distances.shape
        padded = np.full((n_frames, n_templates + 1), np.inf)
        padded[:, :-1] = trace.distances
        columns = padded.take(self.templates, axis=1)  # (n_frames, n_words, n_most)
        best = columns.argmin(axis=2)
        columns.sort(axis=2)
        columns[:, self.ignored] = 0.0
        means = columns.sum(axis=2) / self.n_counted
        chosen = self.templates[np.arange(len(self.templates)), best]  # (n_frames, n_words)
        return means, trace.starts[np.arange(n_frames)[:, None], chosen]


@functools.lru_cache(maxsize=16)
def _groups(word_of_template: bytes, n_words: int) -> WordGroups:
    words = np.frombuffer(word_of_template, dtype=np.int64)
    members = [np.flatnonzero(words == word) for word in range(n_words)]
    n_most = max(map(len, members), default=1)
    templates = np.full((n_words, n_most), len(words), dtype=np.int64)
    for word, mine in enumerate(members):
        templates[word, : len(mine)] = mine
    n_counted = np.array([combined_count(len(mine)) for mine in members], dtype=np.float64)
    return WordGroups(templates, np.arange(n_most) >= n_counted[:, None], n_counted)


def combined_count(n_templates: int) -> int:
    """How many of a word's best templates are averaged.

    >>> [combined_count(n) for n in (1, 2, 3, 5, 10)]
    [1, 1, 2, 3, 6]
    """
    return max(1, round(0.6 * n_templates))
