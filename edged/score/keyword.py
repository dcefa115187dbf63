"""What a keyword monitor knows of its words: templates, how to combine them, and what an ordinary distance is.

Two things make one threshold serve all words and all templates:

- A word's distance at a frame is the mean over its best three fifths of templates (3 of 5). One shot that went wrong
  then matches neither everything nor nothing.
- It is divided by the distance that ordinary other speech reaches, measured at enrolment on the background embeddings
  of the bundle: 0 = identical, 1 = like any other speech.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float32Array, Float64Array
from edged.score.dtw import DtwTrace, Int64Array, StreamingDtw, unit_rows
from edged.score.words import WordGroups

BACKGROUND_WINDOW_FRAMES = 60
_TEMPLATE, _ORDINARY, _LIMIT = "template/", "ordinary", "limit"


@dataclass(frozen=True)
class KeywordModel:
    """Immutable references of one keyword monitor.

    Attributes:
        words: in the order of the columns that :meth:`combine` gives.
        templates: float32 (n_rows, dim) each, rows of unit length, the templates of a word next to each other.
        word_of_template: int64 (n_templates,), position in `words`.
        ordinary: float64 (n_words,), the distance that other speech reaches.
        limit: normalised distance at which a word counts as found, unless the configuration says otherwise.
    """

    words: tuple[str, ...]
    templates: tuple[Float32Array, ...]
    word_of_template: Int64Array
    ordinary: Float64Array
    limit: float

    @classmethod
    def fit(
        cls, templates: Mapping[str, Sequence[Float32Array]], background: Float32Array, limit: float
    ) -> KeywordModel:
        """Measure each word's ordinary distance; a word does not depend on the others.

        Args:
            templates: word -> one or more (n_rows, dim).
            background: float (n_frames, dim), embeddings of speech that holds none of the words.
        """
        words = tuple(templates)
        flat = tuple(unit_rows(np.asarray(t, dtype=np.float32)) for word in words for t in templates[word])
        word_of_template = np.repeat(np.arange(len(words)), [len(templates[word]) for word in words])
        model = cls(words, flat, word_of_template, np.ones(len(words)), limit)
        return replace(model, ordinary=model._ordinary_distances(np.asarray(background, dtype=np.float32)))

    @property
    def threshold(self) -> float:
        """The score at which a word counts as found: minus the limit."""
        return -self.limit

    def limits(self, threshold: float | None = None, thresholds: Mapping[str, float] | None = None) -> Float64Array:
        """Limit of each word, float64 (n_words,), from scores (< 0) for all words and for single ones."""
        common = self.threshold if threshold is None else threshold
        return np.array([-(thresholds or {}).get(word, common) for word in self.words])

    @property
    def word_frames(self) -> Float64Array:
        """Mean length of each word's templates, float64 (n_words,)."""
        lengths = np.array([len(template) for template in self.templates], dtype=np.float64)
        return np.array([lengths[self.word_of_template == word].mean() for word in range(len(self.words))])

    def combine(self, trace: DtwTrace) -> tuple[Float64Array, Int64Array]:
        """Per word what :class:`StreamingDtw` says per template.

        Returns:
            normalised distances float64 (n_frames, n_words), and the first frames int64 of the best template's paths.
        """
        distances, starts = WordGroups.of(self.word_of_template, len(self.words)).combine(trace)
        return distances / self.ordinary, starts

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything but the words, for the store."""
        arrays: dict[str, NDArray[Any]] = {
            f"{_TEMPLATE}{index:05d}": template for index, template in enumerate(self.templates)
        }
        return arrays | {
            "word_of_template": self.word_of_template,
            _ORDINARY: self.ordinary,
            _LIMIT: np.array(self.limit),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], words: Sequence[str]) -> KeywordModel:
        """The model as it was fitted."""
        names = sorted(name for name in arrays if name.startswith(_TEMPLATE))
        templates = tuple(np.asarray(arrays[name], dtype=np.float32) for name in names)
        word_of_template = np.asarray(arrays["word_of_template"], dtype=np.int64)
        ordinary = np.asarray(arrays[_ORDINARY], dtype=np.float64)
        return cls(tuple(words), templates, word_of_template, ordinary, float(np.asarray(arrays[_LIMIT])))

    def _ordinary_distances(self, background: Float32Array) -> Float64Array:
        """Median over windows of the background of the smallest combined distance in each."""
        distances, _ = self.combine(StreamingDtw(self.templates).push(background))
        windows = np.array_split(distances, max(1, len(distances) // BACKGROUND_WINDOW_FRAMES))
        ordinary = np.median(np.stack([window.min(axis=0) for window in windows]), axis=0)
        return np.where(np.isfinite(ordinary), np.maximum(ordinary, 1e-3), 1.0)
