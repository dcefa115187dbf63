"""Masks: their expected value, their smoothness, and that a seed gives them again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import UsageError
from trainer.explain.masks import MaskSpec, axis_masks, random_masks


def slow_axis_mask(rng: np.random.Generator, length: int, n_cells: int, keep: float) -> list[float]:
    """One mask by the words of RISE: stretch the cells to (cells + 1) ceil(length / cells) values, crop anywhere."""
    cell_length = -(-length // n_cells)
    values = [float(x < keep) for x in rng.random((1, n_cells))[0]]
    offset = int(rng.integers(cell_length, size=(1, 1))[0, 0])
    stretched_length = (n_cells + 1) * cell_length
    centres = [(k + 0.5) * stretched_length / n_cells for k in range(n_cells)]
    return [float(np.interp(i + 0.5, centres, values)) for i in range(offset, offset + length)]


@pytest.mark.parametrize(("length", "n_cells"), [(311, 20), (513, 34), (128, 34), (20, 20), (3, 20), (1, 1), (50, 1)])
def test_an_axis_mask_equals_the_slow_one(length: int, n_cells: int) -> None:
    for seed in range(5):
        (mask,) = axis_masks(np.random.default_rng(seed), 1, length, n_cells, 0.25)
        expected = slow_axis_mask(np.random.default_rng(seed), length, n_cells, 0.25)
        np.testing.assert_allclose(mask, expected, atol=1e-5)


@pytest.mark.parametrize("keep", [0.25, 0.5, 0.75])
def test_the_mean_mask_is_the_probability_to_keep_everywhere(keep: float) -> None:
    masks = axis_masks(np.random.default_rng(0), 40_000, 128, 34, keep)
    # The mean of a value's 40,000 draws has a standard error of at most 0.5 / 200.
    np.testing.assert_allclose(masks.mean(axis=0), keep, atol=5 * 0.0025)


def test_the_mean_of_an_image_s_masks_is_its_expected_value() -> None:
    spec = MaskSpec(cells=(4, 6), keep=0.5)
    images = random_masks(np.random.default_rng(0), 20_000, (11, 13), spec).images
    np.testing.assert_allclose(images.mean(axis=0), spec.expected, atol=5 * 0.0035)


@given(st.integers(1, 400), st.integers(1, 60), st.floats(0.01, 0.99), st.integers(0, 99))
def test_masks_stay_between_hidden_and_kept(length: int, n_cells: int, keep: float, seed: int) -> None:
    masks = axis_masks(np.random.default_rng(seed), 3, length, n_cells, keep)
    assert masks.shape == (3, length)
    assert masks.dtype == np.float32
    assert masks.min() >= 0.0
    assert masks.max() <= 1.0


def test_an_image_s_mask_is_the_product_of_its_axes() -> None:
    masks = random_masks(np.random.default_rng(1), 3, (9, 7), MaskSpec(cells=(3, 3)))
    images = masks.images
    assert (images.shape, images.dtype) == ((3, 9, 7), np.float32)
    for n, t, f in np.ndindex(images.shape):
        assert images[n, t, f] == masks.time[n, t] * masks.frequency[n, f]


def test_a_seed_gives_the_same_masks_again() -> None:
    first, again, other = (
        random_masks(np.random.default_rng(seed), 4, (30, 40), MaskSpec()).images for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("cells", "keep"), [((0, 3), 0.5), ((3, 3), 0.0), ((3, 3), 1.0), ((3, 3), float("nan"))])
def test_masks_that_hide_all_or_nothing_are_refused(cells: tuple[int, int], keep: float) -> None:
    with pytest.raises(UsageError, match="no masks"):
        MaskSpec(cells, keep)
