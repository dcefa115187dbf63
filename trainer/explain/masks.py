"""Random masks over time and frequency for RISE (thesis 5.4.1; Petsiuk et al. 2018).

    few random cells --linear interpolation--> a little longer than the axis --random crop--> one axis' mask
    time mask x frequency mask = mask of the image

Every cell is kept with the same probability and the crop starts anywhere within a cell, so the expected mask is that
probability everywhere: `keep` per axis, its square for the image.

The thesis masks "individual time frames and frequency bands with a probability of 0.25". RISE draws the *value* of each
cell, 1 = kept, with a probability, and that is how 0.25 is understood here: a mask keeps a quarter of the cells of each
axis, a sixteenth of the image. The other reading is `keep` = 0.75. As masks are products, a region shows as a cross,
and the less is kept the fainter are its arms: where the middle is 1, they are `keep` and all the rest `keep` squared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edged.errors import UsageError
from edged.flow import Float32Array

TIME_CELLS = 20
FREQUENCY_CELLS = 34
KEEP = 0.25


@dataclass(frozen=True)
class MaskSpec:
    """How masks are drawn.

    Attributes:
        cells: along time and frequency.
        keep: probability that a cell is kept.

    Raises:
        UsageError: no cells, or a probability that keeps nothing or everything.
    """

    cells: tuple[int, int] = (TIME_CELLS, FREQUENCY_CELLS)
    keep: float = KEEP

    def __post_init__(self) -> None:
        if min(self.cells) < 1 or not 0.0 < self.keep < 1.0:
            raise UsageError(
                f"no masks with {self.cells} cells kept with probability {self.keep}",
                fix="take at least one cell along each axis and a probability between 0 and 1",
            )

    @property
    def expected(self) -> float:
        """Expected value of an image's mask, the same everywhere."""
        return self.keep**2


@dataclass(frozen=True)
class Masks:
    """A batch of masks, kept as what they are products of.

    Attributes:
        time: float32 (n, n_frames), 0 to 1.
        frequency: float32 (n, n_bins), 0 to 1.
    """

    time: Float32Array
    frequency: Float32Array

    @property
    def images(self) -> Float32Array:
        """float32 (n, n_frames, n_bins); 1 = kept, 0 = hidden."""
        return self.time[:, :, np.newaxis] * self.frequency[:, np.newaxis, :]


def random_masks(rng: np.random.Generator, n: int, shape: tuple[int, int], spec: MaskSpec) -> Masks:
    """Draw `n` masks for images of `shape` (n_frames, n_bins)."""
    time, frequency = (
        axis_masks(rng, n, length, cells, spec.keep) for length, cells in zip(shape, spec.cells, strict=True)
    )
    return Masks(time, frequency)


def axis_masks(rng: np.random.Generator, n: int, length: int, n_cells: int, keep: float) -> Float32Array:
    """Masks along one axis: float32 (n, length).

    As in RISE, the cells are stretched over one cell more than the axis needs and cropped at a random place.
    """
    cell_length = math.ceil(length / n_cells)
    values = (rng.random((n, n_cells)) < keep).astype(np.float32)
    offset = rng.integers(cell_length, size=(n, 1))
    scale = n_cells / ((n_cells + 1) * cell_length)
    place = np.clip((offset + np.arange(length) + 0.5) * scale - 0.5, 0.0, n_cells - 1.0)  # in cells, (n, length)
    left = place.astype(np.int64)
    right = np.minimum(left + 1, n_cells - 1)
    share = (place - left).astype(np.float32)
    before, after = (np.take_along_axis(values, cell, axis=1) for cell in (left, right))
    result: Float32Array = before + share * (after - before)
    return result
