"""Importance maps by randomized input sampling, RISE (thesis 5.4.1): which regions of an image drive a score.

    masks --hide--> masked images --score--> anomaly scores --weigh the masks, divide by the expected mask--> map

The thesis sums the masks weighted by their scores and divides by the expected mask, which estimates at every place the
mean score of the masked images that keep it. Here the mean score of all masked images is taken off, which moves the map
by a constant and removes most of its noise: zero = keeping this place changes nothing, positive = it drives the score
up, negative = it speaks for a normal sound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edged.errors import UsageError
from edged.flow import Float32Array, Float64Array
from edged.score.distances import TINY
from trainer.explain.masks import FREQUENCY_CELLS, KEEP, TIME_CELLS, Masks, MaskSpec, random_masks

ScoreImages = Callable[[Float32Array], Float64Array]
"""Images (n, n_frames, n_bins) -> anomaly scores (n,)."""
N_MASKS = 4000


@dataclass(frozen=True)
class ImportanceMap:
    """What a clip's regions do to its score.

    Attributes:
        importance: float64 (n_frames, n_bins), in units of the score; positive drives it up.
        standard_error: of every value of it, by chance of the masks.
        mean_masked_score: over all masked images; the thesis's map is `importance` plus this.
        split_half_correlation: between the maps of every other mask and of the rest; near 1 when the masks were enough,
            NaN for fewer than four masks.
        n_masks: how many there were.
        was_interrupted: Ctrl-C came before all masks were done; what is here is the map so far.
    """

    importance: Float64Array
    standard_error: Float64Array
    mean_masked_score: float
    split_half_correlation: float
    n_masks: int
    was_interrupted: bool = False

    @property
    def reliability(self) -> float:
        """Correlation to expect with a map of as many other masks (Spearman and Brown's prophecy of the halves').

        Halves that disagree prophesy nothing: 0 for a negative correlation, where the formula leaves [-1, 1].
        """
        half = self.split_half_correlation
        return half if np.isnan(half) else max(0.0, 2.0 * half / (1.0 + max(half, 0.0)))


@dataclass(frozen=True)
class _Tally:
    """Sums over masks; every sum of images costs one matrix product because masks are products."""

    n: int
    scores: float
    masks: Float64Array  # sum of m
    weighted: Float64Array  # sum of s m
    squares: Float64Array  # sums of m^2, s m^2, s^2 m^2: (3, n_frames, n_bins)

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> _Tally:
        return cls(0, 0.0, np.zeros(shape), np.zeros(shape), np.zeros((3, *shape)))

    def plus(self, masks: Masks, scores: Float64Array) -> _Tally:
        time, frequency = masks.time.astype(np.float64), masks.frequency.astype(np.float64)
        powers = np.stack([np.ones_like(scores), scores, np.square(scores)])[:, np.newaxis]  # (3, 1, n)
        return _Tally(
            self.n + len(scores),
            self.scores + float(scores.sum()),
            self.masks + time.T @ frequency,
            self.weighted + (time.T * scores) @ frequency,
            self.squares + (np.square(time).T * powers) @ np.square(frequency),
        )

    def merged(self, other: _Tally) -> _Tally:
        return _Tally(
            self.n + other.n,
            self.scores + other.scores,
            self.masks + other.masks,
            self.weighted + other.weighted,
            self.squares + other.squares,
        )

    @property
    def mean_score(self) -> float:
        return self.scores / max(self.n, 1)

    def importance(self, expected: float) -> Float64Array:
        """Sum of (s - mean s) m, over the expected mask and the number of masks."""
        return (self.weighted - self.mean_score * self.masks) / (expected * max(self.n, 1))

    def standard_error(self, expected: float) -> Float64Array:
        mean = self.mean_score
        second = self.squares[2] - 2.0 * mean * self.squares[1] + mean**2 * self.squares[0]
        variance = second / (expected**2 * max(self.n, 1)) - np.square(self.importance(expected))
        result: Float64Array = np.sqrt(np.maximum(variance, 0.0) / max(self.n - 1, 1))
        return result


def importance_map(
    anomaly_scores_of: ScoreImages,
    image: Float32Array,
    *,
    hidden: Float32Array | float = 0.0,
    n_masks: int = N_MASKS,
    batch: int = 32,
    cells: tuple[int, int] = (TIME_CELLS, FREQUENCY_CELLS),
    keep: float = KEEP,
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> ImportanceMap:
    """Mask an image at random many times, and weigh the masks by the scores of what is left.

    Ctrl-C ends it with the masks so far, if there were any. Memory is a few images and one batch.

    Args:
        anomaly_scores_of: scores a batch of masked images.
        image: float32 (n_frames, n_bins).
        hidden: what a hidden value becomes, a number or an array that broadcasts to the image: 0 for a spectrogram
            without its temporal mean, each band's level for one in dB.
        n_masks: see `ImportanceMap.split_half_correlation` for whether they were enough.
        batch: masks drawn and scored at once.
        cells: of the masks, along time and frequency.
        keep: probability that a cell is kept.
        seed: of the masks.
        progress: called with the number of masks of every batch done.

    Raises:
        UsageError: no masks are asked for, or masks that cannot be.
        KeyboardInterrupt: before the first batch was done.
    """
    if min(n_masks, batch) < 1:
        raise UsageError(f"{n_masks} masks, {batch} at a time, explain nothing", fix="take more masks")
    spec = MaskSpec(cells, keep)
    rng = np.random.default_rng(seed)
    halves = (_Tally.empty(image.shape), _Tally.empty(image.shape))
    was_interrupted = False
    try:
        for done in range(0, n_masks, batch):
            masks = random_masks(rng, min(batch, n_masks - done), image.shape, spec)
            scores = anomaly_scores_of(np.asarray(hidden + masks.images * (image - hidden), np.float32))
            halves = _both(halves, masks, scores)  # one assignment: Ctrl-C finds all of a batch in it, or none
            if progress:
                progress(len(scores))
    except KeyboardInterrupt:
        if not halves[0].n:
            raise
        was_interrupted = True
    return _finished(halves, spec.expected, was_interrupted)


def _both(halves: tuple[_Tally, _Tally], masks: Masks, scores: Float64Array) -> tuple[_Tally, _Tally]:
    """Masks dealt out to both halves in turn; the one that is behind gets the first."""
    first = int(halves[0].n > halves[1].n)
    result = list(halves)
    for start in (0, 1):
        half = (first + start) % 2
        part = Masks(masks.time[start::2], masks.frequency[start::2])
        result[half] = result[half].plus(part, scores[start::2])
    return result[0], result[1]


def _finished(halves: tuple[_Tally, _Tally], expected: float, was_interrupted: bool) -> ImportanceMap:
    whole = halves[0].merged(halves[1])
    return ImportanceMap(
        whole.importance(expected),
        whole.standard_error(expected),
        whole.mean_score,
        _correlation(*(half.importance(expected) for half in halves)) if whole.n >= 4 else float("nan"),
        whole.n,
        was_interrupted,
    )


def _correlation(left: Float64Array, right: Float64Array) -> float:
    """Pearson's; NaN where a map is flat."""
    x, y = left - left.mean(), right - right.mean()
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float((x * y).sum()) / size if size > TINY else float("nan")
