"""What a keyword monitor knows of its words: templates, how to combine them, and what an ordinary distance is.

Two things make one threshold serve all words and all templates:

- A word's distance at a frame is the mean over its best three fifths of templates (3 of 5). One shot that went wrong
  then matches neither everything nor nothing.
- It is divided by the distance that ordinary other speech reaches, measured at enrolment on the background embeddings
  of the bundle: 0 = identical, 1 = like the speech that comes near to the word. Where the word's own clips differ from
  each other more than usual, what is said live will differ more as well, so the word may reach farther, and conversely.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float32Array, Float64Array
from edged.score.brevity import brevity_factor
from edged.score.dtw import DtwTrace, Int64Array, StreamingDtw, unit_rows
from edged.score.words import WordGroups

BACKGROUND_WINDOW_FRAMES = 60
TYPICAL_OWN = 0.5
"""A word's own clips' distance to each other over that of ordinary speech: the median over the words of real sets."""
MOST_OWN = 2.0
"""By how much more or less than that they can count: two clips may be copies, or one of them no clip of the word."""
_TEMPLATE, _ORDINARY, _LIMIT, _BREVITY = "template/", "ordinary", "limit", "brevity_weight"


@dataclass(frozen=True)
class Reach:
    """How far a word reaches: what its distances are divided by.

    Attributes:
        quantile: of the nearest distance in each second of the background.
        own_exponent: how much the distance of the word's own clips to each other counts.
    """

    quantile: float = 0.5
    own_exponent: float = 0.0

    def of(self, templates: Sequence[Float32Array], background: Float64Array) -> float:
        """The ordinary distance of a word.

        Args:
            templates: of the word, rows of unit length.
            background: float64 (n_frames,), combined distances of the background.
        """
        windows = np.array_split(background, max(1, len(background) // BACKGROUND_WINDOW_FRAMES))
        reached = np.quantile([window.min() for window in windows], self.quantile)
        ordinary = max(float(reached), 1e-3) if np.isfinite(reached) else 1.0
        if not self.own_exponent or len(templates) < 2:
            return ordinary
        own = float(np.median(own_distances(templates))) / (TYPICAL_OWN * ordinary)
        return float(ordinary * min(max(own, 1.0 / MOST_OWN), MOST_OWN) ** self.own_exponent)


MEDIAN_REACH = Reach()


@dataclass(frozen=True)
class KeywordModel:
    """Immutable references of one keyword monitor.

    Attributes:
        words: in the order of the columns that :meth:`combine` gives.
        templates: float32 (n_rows, dim) each, rows of unit length, the templates of a word next to each other.
        word_of_template: int64 (n_templates,), position in `words`.
        ordinary: float64 (n_words,), the distance that other speech reaches.
        limit: normalised distance at which a word counts as found, unless the configuration says otherwise.
        brevity_weight: how much more a path counts that is shorter than its template; see `brevity_factor`.
    """

    words: tuple[str, ...]
    templates: tuple[Float32Array, ...]
    word_of_template: Int64Array
    ordinary: Float64Array
    limit: float
    brevity_weight: float = 0.0

    @classmethod
    def fit(
        cls,
        templates: Mapping[str, Sequence[Float32Array]],
        background: Float32Array,
        limit: float,
        reach: Reach = MEDIAN_REACH,
        brevity_weight: float = 0.0,
    ) -> KeywordModel:
        """Measure each word's ordinary distance; a word does not depend on the others.

        Args:
            templates: word -> one or more (n_rows, dim).
            background: float (n_frames, dim), embeddings of speech that holds none of the words.
        """
        model = cls.unmeasured(templates, limit, brevity_weight)
        distances, _ = model.combine(StreamingDtw(model.templates).push(np.asarray(background, dtype=np.float32)))
        each = [reach.of(model.templates_of(place), column) for place, column in enumerate(distances.T)]
        return replace(model, ordinary=np.array(each))

    @classmethod
    def unmeasured(
        cls, templates: Mapping[str, Sequence[Float32Array]], limit: float, brevity_weight: float = 0.0
    ) -> KeywordModel:
        """The words with distances as they are, divided by nothing."""
        words = tuple(templates)
        flat = tuple(unit_rows(np.asarray(t, dtype=np.float32)) for word in words for t in templates[word])
        word_of_template = np.repeat(np.arange(len(words)), [len(templates[word]) for word in words])
        return cls(words, flat, word_of_template, np.ones(len(words)), limit, brevity_weight)

    def templates_of(self, place: int) -> list[Float32Array]:
        """Templates of a word by its position."""
        return [self.templates[index] for index in np.flatnonzero(self.word_of_template == place)]

    def identity(self, place: int) -> str:
        """What distances of a word mean, as a digest: other templates or another ordinary distance are another word."""
        digest = hashlib.sha256(self.words[place].encode())
        digest.update(np.float64(self.ordinary[place]).tobytes())
        if self.brevity_weight:
            digest.update(np.float64(self.brevity_weight).tobytes())
        for template in self.templates_of(place):
            digest.update(np.ascontiguousarray(template, dtype="<f4").tobytes())
        return digest.hexdigest()[:32]

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
        if self.brevity_weight:
            factor = brevity_factor(trace, self.templates, self.brevity_weight)
            trace = replace(trace, distances=trace.distances * factor)
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
            _BREVITY: np.array(self.brevity_weight),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], words: Sequence[str]) -> KeywordModel:
        """The model as it was fitted."""
        names = sorted(name for name in arrays if name.startswith(_TEMPLATE))
        templates = tuple(np.asarray(arrays[name], dtype=np.float32) for name in names)
        word_of_template = np.asarray(arrays["word_of_template"], dtype=np.int64)
        ordinary = np.asarray(arrays[_ORDINARY], dtype=np.float64)
        limit, brevity = float(np.asarray(arrays[_LIMIT])), float(np.asarray(arrays.get(_BREVITY, 0.0)))
        return cls(tuple(words), templates, word_of_template, ordinary, limit, brevity)


def own_distances(templates: Sequence[Float32Array]) -> Float64Array:
    """How far each of a word's templates is from the others, combined as a stream's are: float64 (n_templates,)."""
    distances = []
    for index, template in enumerate(templates):
        others = [other for place, other in enumerate(templates) if place != index]
        model = KeywordModel.unmeasured({"": others}, 1.0)
        found, _ = model.combine(StreamingDtw(model.templates).push(template))
        distances.append(float(found.min()))
    finite = np.array(distances)
    return np.where(np.isfinite(finite), finite, 1.0)
