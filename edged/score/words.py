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
        counted: bool (n_words, n_most), how many of a word's smallest distances are averaged.
    """

    templates: Int64Array
    counted: NDArray[np.bool_]

    @classmethod
    def of(cls, word_of_template: Int64Array, n_words: int) -> WordGroups:
        """Each word has at least one template."""
        return _groups(np.asarray(word_of_template, dtype=np.int64).tobytes(), n_words)

    def combine(self, trace: DtwTrace) -> tuple[Float64Array, Int64Array]:
        """Mean distance of each word's best templates, and where the path of its very best began.

        Returns:
            float64 (n_frames, n_words), inf until enough of them can end; int64 (n_frames, n_words).
        """
        beyond = np.full((len(trace.distances), 1), np.inf)
        columns = np.concatenate([trace.distances, beyond], axis=1)[:, self.templates]  # (n_frames, n_words, n_most)
        best = columns.argmin(axis=2)
        columns.sort(axis=2)
        means = np.where(self.counted, columns, 0.0).sum(axis=2) / self.counted.sum(axis=1)
        chosen = self.templates[np.arange(len(self.templates)), best]  # (n_frames, n_words)
        return means, np.take_along_axis(trace.starts, chosen, axis=1)


@functools.lru_cache(maxsize=16)
def _groups(word_of_template: bytes, n_words: int) -> WordGroups:
    words = np.frombuffer(word_of_template, dtype=np.int64)
    members = [np.flatnonzero(words == word) for word in range(n_words)]
    n_most = max(map(len, members), default=1)
    templates = np.full((n_words, n_most), len(words), dtype=np.int64)
    for word, mine in enumerate(members):
        templates[word, : len(mine)] = mine
    counted = np.arange(n_most) < np.array([combined_count(len(mine)) for mine in members], dtype=np.int64)[:, None]
    return WordGroups(templates, counted)


def combined_count(n_templates: int) -> int:
    """How many of a word's best templates are averaged.

    >>> [combined_count(n) for n in (1, 2, 3, 5, 10)]
    [1, 1, 2, 3, 6]
    """
    return max(1, round(0.6 * n_templates))
